"""EBSeg: its parts by hand, images and labels of every kind, and what its switches change."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.conv_pyramid import ConvPyramidConfig
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.embeddings import AttentionBias, balanced_scores, mean_inside
from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from ahs_seg.methods.mask.ebseg.region_recognition import RegionRecognition
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.methods.mask.ebseg.structure_loss import similarity_structure_loss
from ahs_seg.methods.mask.set_loss import Match, mask_targets
from ahs_seg.modules.class_pooling import mean_of_rows, of_classes
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.builders import random_backbone

EBSEG_SMALL = EBSegConfig(
    backbone=ClipConfig(source="nowhere", resolution=64),
    pixels=ConvPyramidConfig(channels=(8, 8, 16, 16)),
    recognition_blocks=1,
    queries=6,
    dim=64,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=32,
    decoder_layers=2,
    decoder_feedforward=32,
    loss=EBSegLossConfig(points=32),
)


def small(**changes: object) -> EBSegSegmenter:
    torch.manual_seed(0)
    return EBSEG_SMALL.model_copy(update=changes).compose(random_backbone()).eval()


def images(count: int, height: int = 40, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def words(count: int) -> Tensor:
    return F.normalize(torch.randn(count, 1, 24, generator=torch.Generator().manual_seed(2)), dim=-1)


def losses_of(method: EBSegSegmenter, labels: Tensor, text: Tensor, **config: object) -> dict[str, Tensor]:
    shown = images(len(labels), *labels.shape[-2:])
    classes = torch.arange(len(text))
    forward = TrainingForward(shown, labels, classes, classes, method(shown, text), 0.0)
    return EBSegObjective(EBSegLossConfig(points=32, **config))(method, forward)


@pytest.mark.parametrize("size", [(40, 70), (33, 64), (5, 90)])
@pytest.mark.parametrize("kind", ["several", "one", "none", "some without"])
def test_labels_of_every_kind_train(kind: str, size: tuple[int, int]) -> None:
    method = small().train()
    labels = torch.randint(-1, 3, (2, *size), generator=torch.Generator().manual_seed(3))
    if kind == "one":
        labels = torch.full_like(labels, 1)
    elif kind == "none":
        labels = torch.full_like(labels, IGNORE)
    elif kind == "some without":
        labels[0] = IGNORE
    losses = losses_of(method, labels, words(3))
    assert set(losses) == {
        f"{name}{suffix}" for name in ("supervised", "recognised", "mask", "dice") for suffix in ("", "_0", "_1")
    } | {"structure"}
    assert all(loss.isfinite() for loss in losses.values())
    if kind == "none":
        assert losses["mask"] == losses["dice"] == losses["structure"] == 0
    torch.stack(list(losses.values())).sum().backward()
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.isfinite().all()] == []


@torch.no_grad()
def test_one_class_and_many_and_more_classes_than_queries() -> None:
    method = small()
    for count in (1, 2, 30):
        proposals = method(images(2), words(count)).proposals
        assert proposals is not None
        assert proposals.classes.shape == (2, 6, count)
        assert (proposals.classes.sum(-1) <= 1 + 1e-6).all()
        assert (proposals.frame, proposals.size) == ((64, 96), (40, 70))
    labels = torch.arange(30).repeat_interleave(10)[None, :, None].expand(1, -1, 8)
    with torch.enable_grad():
        losses = losses_of(method, labels.contiguous(), words(30))
    assert all(loss.isfinite() for loss in losses.values())


def test_what_trains_is_all_but_the_matrices_of_clip() -> None:
    method = small(pixels=SamConfig(source=None, dim=16, depth=4, heads=2, image_size=64, global_blocks=(0, 1, 2, 3)))
    frozen = {name.split(".")[0] for name, p in method.named_parameters() if not p.requires_grad}
    assert frozen == {"backbone", "pixels"}
    inside = [n for n, p in method.named_parameters() if p.requires_grad and n.startswith(("backbone", "pixels"))]
    assert inside == ["backbone.model.vision_model.embeddings.position_embedding.weight", "pixels.encoder.pos_embed"]


def balanced_by_hand(logits: list[Tensor], seen: Tensor, alpha: float, beta: float, gamma: float) -> Tensor:
    p = [one[..., :-1].softmax(-1) for one in logits]
    u = torch.where(seen, alpha, beta)
    s = (1e-8 + p[0] ** (1 - u - gamma) * p[2] ** u * p[1] ** gamma).log()
    void = logits[0].softmax(-1)[..., -1:]
    c = torch.cat([s.softmax(-1) * (1 - void), void], -1)
    return (c + 1e-8).log().softmax(-1)[..., :-1]


def test_balance_is_the_papers_formula() -> None:
    logits = [3 * torch.randn(2, 4, 6) for _ in range(3)]
    seen = torch.tensor([True, False, True, False, False])
    ours = balanced_scores(*logits, seen, alpha=0.1, beta=0.25, gamma=0.6)
    torch.testing.assert_close(ours, balanced_by_hand(logits, seen, 0.1, 0.25, 0.6))
    none = balanced_scores(*logits, None, alpha=0.1, beta=0.25, gamma=0.6)
    torch.testing.assert_close(none, balanced_by_hand(logits, torch.zeros(5, dtype=torch.bool), 0.1, 0.25, 0.6))
    # With all of them zero only the supervised embedding counts.
    alone = balanced_scores(*logits, seen, alpha=0.0, beta=0.0, gamma=0.0)
    torch.testing.assert_close(alone, logits[0].softmax(-1)[..., :-1], atol=1e-6, rtol=1e-4)


def test_new_classes_do_without_the_supervised_embedding() -> None:
    logits = [torch.randn(1, 3, 5) for _ in range(3)]
    other = [logits[0] + torch.tensor([0.0, 2.0, -1.0, 3.0, 0.0]), *logits[1:]]
    other[0][..., -1] = -50.0
    logits[0][..., -1] = -50.0
    new = torch.zeros(4, dtype=torch.bool)
    published = {"alpha": 0.09, "beta": 0.3, "gamma": 0.7}
    torch.testing.assert_close(balanced_scores(*logits, new, **published), balanced_scores(*other, new, **published))
    assert not torch.allclose(balanced_scores(*logits, ~new, **published), balanced_scores(*other, ~new, **published))


def test_regions_are_copies_of_the_class_token_that_see_patches_and_themselves() -> None:
    """The original's form: copies before all tokens, and a mask of -100 over what they do not see."""
    backbone = random_backbone(depth=4)
    recognition = RegionRecognition(backbone, head=2, taps=(1, 1, 2), value_start=1)
    pixels = torch.randn(2, 3, 24, 40)
    with torch.no_grad():
        front = recognition(pixels)
        bias = 2 * torch.randn(2, 2, 5, 15)
        tokens, grid = recognition.embed(pixels)
        assert grid == (3, 5)
        weights = backbone.attention_weights("vision")
        blocks = backbone.model.vision_model.encoder.layers
        for block, own in zip(blocks[:2], weights[:2], strict=True):
            tokens = recognition._plain(block, own, tokens)
        torch.testing.assert_close(front.start, tokens[:, :1])
        mask = torch.zeros(2, 2, 21, 21)
        mask[..., :5] = -100
        mask[..., :5, :5] = torch.where(torch.eye(5).bool(), 0.0, -100.0)
        mask[..., :5, 5] = -100
        mask[..., :5, 6:] = bias
        tokens = torch.cat([tokens[:, :1].expand(-1, 5, -1), tokens], 1)
        for block, own in zip(blocks[2:], weights[2:], strict=True):
            part, normed = block.self_attn, block.layer_norm1(tokens)
            q, k, v = (
                F.linear(normed, weight, projection.bias).unflatten(-1, (2, 16)).transpose(1, 2)
                for weight, projection in zip(own[:3], (part.q_proj, part.k_proj, part.v_proj), strict=True)
            )
            mixed = ((q @ k.transpose(-1, -2)) / 4 + mask).softmax(-1) @ v
            tokens = tokens + F.linear(mixed.transpose(1, 2).flatten(2), own.output, part.out_proj.bias)
            tokens = tokens + block.mlp(block.layer_norm2(tokens))
        model = backbone.model
        expected = F.normalize(model.visual_projection(model.vision_model.post_layernorm(tokens[:, :5])), dim=-1)
        torch.testing.assert_close(recognition.recognise(front, bias), expected, rtol=1e-4, atol=1e-5)


def test_recognition_needs_blocks_before_it() -> None:
    with pytest.raises(ValueError, match="do not fit a CLIP of 3 blocks"):
        RegionRecognition(random_backbone(), head=3, taps=(1, 1, 1), value_start=1)
    with pytest.raises(ValueError, match="lie before the last 1"):
        RegionRecognition(random_backbone(), head=1, taps=(1, 2, 3), value_start=1)


def test_the_bias_is_the_greatest_in_each_cell_and_needs_no_gradient_to_be_the_same() -> None:
    torch.manual_seed(0)
    bias = AttentionBias(4, 3)
    features, masks = torch.randn(2, 4, 6, 8), torch.randn(2, 5, 4)
    keys = bias.keys(features)
    pooled = bias(masks, keys, (3, 4))
    full = torch.einsum("bqc,mbchw->bmqhw", masks, keys)
    expected = full.unflatten(-2, (3, 2)).unflatten(-1, (4, 2)).amax((-1, -3)).flatten(-2)
    torch.testing.assert_close(pooled, expected)
    with torch.no_grad():
        assert torch.equal(bias(masks, keys, (3, 4)), pooled)
    assert (bias.weight.item(), bias.shift.item()) == (1.0, 0.0)


def test_the_mean_of_an_empty_mask_is_zero() -> None:
    dense = torch.arange(8.0).view(1, 2, 2, 2)
    masks = torch.tensor([[[1.0, -1.0], [1.0, -1.0]], [[-1.0, -1.0], [-1.0, -1.0]]])[None]
    torch.testing.assert_close(mean_inside(dense, masks), torch.tensor([[[1.0, 5.0], [0.0, 0.0]]]))


def test_structure_loss_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 2]], [[IGNORE] * 3]])
    targets = mask_targets(labels, (1, 3))
    matches = [
        Match(torch.tensor([1, 2]), torch.tensor([1, 0])),
        Match(torch.tensor([]).long(), torch.tensor([]).long()),
    ]
    embeddings = torch.tensor([[[9.0, 9.0], [2.0, 0.0], [1.0, 1.0]]] * 2)
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    # Products 4, 2, 2, 2; cosines of classes 2 and 0: 1, 0.6, 0.6, 1. The second image does not count.
    expected = (9 + 2 * 1.4**2 + 1) / 4
    assert similarity_structure_loss(embeddings, text, matches, targets).item() == pytest.approx(expected)
    assert similarity_structure_loss(embeddings[1:], text, matches[1:], targets[1:]).item() == 0


def test_a_class_of_several_rows_has_its_best() -> None:
    logits = torch.tensor([[[1.0, 5.0, 2.0, 3.0, 0.5]]])
    owner = torch.tensor([0, 0, 1, 2])
    assert of_classes(logits, owner).tolist() == [[[5.0, 2.0, 3.0, 0.5]]]
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(mean_of_rows(rows, torch.tensor([0, 0, 1]))[0], torch.tensor([0.5**0.5, 0.5**0.5]))


def test_switches_change_what_they_say() -> None:
    labels = torch.randint(0, 3, (2, 40, 70), generator=torch.Generator().manual_seed(3))

    def losses(**config: object) -> dict[str, Tensor]:
        torch.manual_seed(7)
        return losses_of(small(), labels, words(3), **config)

    base, off = losses(), losses(structure=0.0, recognised=0.0)
    assert off["structure"] == off["recognised"] == 0
    assert base["structure"] > 0
    torch.testing.assert_close(off["mask"], base["mask"])
    with torch.no_grad():
        balanced, alone = small(), small(alpha=0.0, beta=0.0, gamma=0.0)
        one, other = balanced(images(1), words(3)), alone(images(1), words(3))
        assert one.proposals is not None
        assert other.proposals is not None
        assert not torch.allclose(one.proposals.classes, other.proposals.classes)


def test_half_precision_trains_and_stays_near() -> None:
    method, text = small().train(), words(3)
    labels = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain = method(images(2, 64, 64), text).proposals
    shown, classes = images(2, 64, 64), torch.arange(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method(shown, text)
    forward = TrainingForward(shown, labels, classes, classes, output, 0.0)
    losses = EBSegObjective(EBSegLossConfig(points=32))(method, forward)
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters() if p.requires_grad)
    assert plain is not None
    assert output.proposals is not None
    assert output.proposals.masks.dtype == output.proposals.classes.dtype == torch.float32
    assert (output.proposals.classes - plain.classes).abs().max() < 0.2
