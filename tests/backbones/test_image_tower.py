"""The image tower of a CLIP read block by block is the tower of `transformers`, and a copy is a copy."""

import torch
from torch import Tensor

from ahs_seg.backbones.image_tower import ImageTower, embed_patches, project_tokens, resample_positions, run_blocks
from ahs_seg.training.memory import TensorBytes
from tests.support.builders import clip_of_transformers, random_backbone


def kept(number: int, tokens: Tensor) -> Tensor:
    return tokens


@torch.no_grad()
def test_blocks_one_by_one_are_the_network() -> None:
    backbone, pixels = random_backbone(), torch.randn(2, 3, 32, 32)
    model, expected = backbone.model, clip_of_transformers(backbone).vision_model(pixel_values=pixels)
    tokens = run_blocks(model, embed_patches(model, pixels)[0], kept)
    torch.testing.assert_close(tokens, expected.last_hidden_state)
    embedding = model.visual_projection(expected.pooler_output)
    torch.testing.assert_close(project_tokens(model, tokens)[:, 0], embedding)


@torch.no_grad()
def test_what_is_put_in_after_a_block_goes_on_from_there() -> None:
    model, pixels = random_backbone().model, torch.randn(1, 3, 32, 32)
    seen: list[int] = []

    def nothing_after_the_second(number: int, tokens: Tensor) -> Tensor:
        seen.append(number)
        return torch.zeros_like(tokens) if number == 2 else tokens

    tokens = run_blocks(model, embed_patches(model, pixels)[0], nothing_after_the_second)
    assert seen == [1, 2, 3]
    other = run_blocks(model, embed_patches(model, torch.randn(1, 3, 32, 32))[0], nothing_after_the_second)
    assert torch.equal(tokens, other)  # of the image nothing is left


def test_recomputing_blocks_changes_no_gradient() -> None:
    model, pixels = random_backbone().model, torch.randn(1, 3, 32, 32)
    found = []
    for checkpointing in (False, True):
        tokens = embed_patches(model, pixels)[0]
        with TensorBytes() as counted:
            result = run_blocks(model, tokens, kept, checkpointing=checkpointing)
        held = counted.now
        model.zero_grad()
        result.square().sum().backward()
        gradients = [value.grad for value in model.vision_model.encoder.parameters()]
        found.append((held, gradients))
    (kept_bytes, plain), (fewer, recomputed) = found
    assert fewer < kept_bytes / 2
    assert all(map(torch.equal, plain, recomputed))


@torch.no_grad()
def test_a_grid_of_another_size_takes_resampled_positions() -> None:
    model = random_backbone().model
    tokens, grid = embed_patches(model, torch.randn(1, 3, 24, 40))
    assert grid == (3, 5)
    assert tokens.shape == (1, 1 + 3 * 5, 32)
    assert not torch.allclose(tokens, embed_patches(model, torch.randn(1, 3, 24, 40))[0])


@torch.no_grad()
def test_a_copy_shares_nothing_with_the_backbone() -> None:
    backbone, pixels = random_backbone(), torch.randn(1, 3, 32, 32)
    tower = ImageTower.copied(backbone.image_tower)
    before = run_blocks(tower, embed_patches(tower, pixels)[0], kept)
    torch.testing.assert_close(before, run_blocks(backbone.model, embed_patches(backbone.model, pixels)[0], kept))
    for parameter in backbone.parameters():
        parameter.zero_()
    assert torch.equal(run_blocks(tower, embed_patches(tower, pixels)[0], kept), before)
    assert set(tower.state_dict()) < set(backbone.model.state_dict())


def test_a_table_without_class_row_is_resampled_whole() -> None:
    table = torch.arange(16.0)[:, None].expand(-1, 2)
    assert torch.equal(resample_positions(table, (4, 4), class_rows=0), table)
    square = table[:, 0].view(1, 1, 4, 4)
    smooth = resample_positions(table, (2, 6), class_rows=0)
    expected = torch.nn.functional.interpolate(square, size=(2, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(smooth[:, 0], expected.flatten())
    antialiased = resample_positions(table, (2, 2), class_rows=0, antialias=True)
    assert not torch.allclose(antialiased, resample_positions(table, (2, 2), class_rows=0))
    torch.testing.assert_close(antialiased.mean(), table.mean())
