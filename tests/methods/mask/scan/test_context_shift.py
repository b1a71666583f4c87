"""Contextual shift."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.backbones.image_tower import ImageTower, embed_patches, project_tokens, run_blocks
from ahs_seg.methods.mask.scan.context_shift import (
    RandomPatches,
    embed_regions,
    query_generators,
    read_context,
    spread_evenly,
)
from ahs_seg.methods.mask.scan.crops import cut_regions
from tests.support.builders import clip_of_transformers, random_backbone


@pytest.fixture(scope="module")
def tower() -> ImageTower:
    return ImageTower.copied(random_backbone().image_tower)


def marked_places() -> torch.Tensor:
    return torch.rand(6, 20, generator=torch.Generator().manual_seed(0)) > torch.arange(6)[:, None] / 5


def test_places_are_spread_as_the_formula_says() -> None:
    marked = marked_places()
    wanted = (marked.sum(1) * 0.4).long()
    for row, count, chosen in zip(marked, wanted.tolist(), spread_evenly(marked, wanted), strict=True):
        places = row.nonzero()[:, 0].tolist()
        expected = [places[index * len(places) // count] for index in range(count)]
        assert chosen.nonzero()[:, 0].tolist() == expected


def test_drawn_places_are_marked_and_so_many() -> None:
    marked = marked_places()
    wanted = (marked.sum(1) * 0.4).long()
    for generators in (None, query_generators(torch.rand(3, 9, 9), 1, len(marked))):
        chosen = RandomPatches(generators)(marked, wanted)
        assert not (chosen & ~marked).any()
        assert torch.equal(chosen.sum(1), wanted)


def test_draws_depend_on_seed_image_and_query_alone() -> None:
    marked, wanted = torch.ones(4, 50, dtype=torch.bool), torch.full((4,), 10)

    def drawn(image: torch.Tensor, seed: int, queries: slice = slice(None)) -> torch.Tensor:
        return RandomPatches(query_generators(image, seed, 4)[queries])(marked[queries], wanted[queries])

    one, other = torch.rand(3, 9, 9), torch.rand(3, 9, 9)
    first = drawn(one, 0)
    assert torch.equal(first, drawn(one.clone(), 0))
    assert torch.equal(first[2:], drawn(one, 0, slice(2, None)))
    assert len(first.unique(dim=0)) == 4
    assert not torch.equal(first, drawn(one, 1))
    assert not torch.equal(first, drawn(other, 0))


def test_draws_are_those_of_the_image_in_8_bits() -> None:
    """Rounding errors of another device change nothing, and a value beyond white is white on all of them."""
    image = torch.randint(256, (3, 9, 9), generator=torch.Generator().manual_seed(0)) / 255
    image[0, 0] = 1
    states = [generator.get_state() for generator in query_generators(image, 0, 2)]
    for near in (image + 1e-5, image.where(image < 1, 1.2)):
        found = [generator.get_state() for generator in query_generators(near, 0, 2)]
        assert all(torch.equal(one, other) for one, other in zip(states, found, strict=True))


@torch.no_grad()
def test_the_context_is_what_transformers_gives() -> None:
    backbone, pixels = random_backbone(depth=3), torch.randn(2, 3, 32, 32)
    model = clip_of_transformers(backbone)
    context = read_context(backbone.model, pixels, levels=(2, 3), starts=(1,))
    whole = model.vision_model(pixels, output_hidden_states=True)
    for number, level in zip((2, 3), context.levels, strict=True):
        torch.testing.assert_close(level.flatten(2).transpose(1, 2), whole.hidden_states[number][:, 1:])
    torch.testing.assert_close(context.starts[1], whole.hidden_states[1][:, 0])
    torch.testing.assert_close(context.image, F.normalize(model.visual_projection(whole.pooler_output), dim=-1))


@pytest.fixture(scope="module")
def regions() -> tuple[torch.Tensor, torch.Tensor]:
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, :8, :8] = masks[0, -8:, -8:] = True
    masks[1, :16] = True
    found = cut_regions(torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0)), masks, 32)
    return found.pixels, found.foreground(8)


@torch.no_grad()
def test_tokens_of_the_background_become_the_class_token_of_the_context(
    tower: ImageTower, regions: tuple[torch.Tensor, torch.Tensor]
) -> None:
    start = torch.randn(32)
    found = embed_regions(tower, *regions, {2: start.expand(2, -1)}, ratio=0.5, choose=spread_evenly)

    def by_hand(number: int, tokens: torch.Tensor) -> torch.Tensor:
        if number == 2:
            # Region 0 has 14 background patches, those but 0 and 15; every second of them is replaced.
            tokens[0, [1 + place for place in (1, 3, 5, 7, 9, 11, 13)]] = start
        return tokens

    tokens = run_blocks(tower, embed_patches(tower, regions[0])[0], by_hand)
    torch.testing.assert_close(found, F.normalize(project_tokens(tower, tokens)[:, 0], dim=-1))


@torch.no_grad()
def test_a_region_without_background_and_a_ratio_of_zero_change_nothing(
    tower: ImageTower, regions: tuple[torch.Tensor, torch.Tensor]
) -> None:
    plain = F.normalize(
        project_tokens(tower, run_blocks(tower, embed_patches(tower, regions[0])[0], lambda _, t: t))[:, 0], dim=-1
    )
    starts = {1: torch.randn(2, 32)}
    shifted = embed_regions(tower, *regions, starts, ratio=0.5, choose=spread_evenly)
    assert not torch.allclose(shifted[0], plain[0], atol=1e-4)
    torch.testing.assert_close(shifted[1], plain[1])  # its box has no background
    unshifted = embed_regions(tower, *regions, starts, ratio=0.0, choose=spread_evenly)
    torch.testing.assert_close(unshifted, plain)


@torch.no_grad()
def test_every_region_gets_the_class_token_of_its_own_image(
    tower: ImageTower, regions: tuple[torch.Tensor, torch.Tensor]
) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    context = read_context(tower, pixels, levels=(), starts=(1,))
    both = [embed_regions(tower, *regions, context.of(index, 2), ratio=1.0, choose=spread_evenly)
            for index in (0, 1)]  # fmt: skip
    alone = read_context(tower, pixels[1:], levels=(), starts=(1,))
    expected = embed_regions(tower, *regions, alone.of(0, 2), ratio=1.0, choose=spread_evenly)
    torch.testing.assert_close(both[1], expected)
    assert not torch.allclose(both[0][0], both[1][0], atol=1e-4)
