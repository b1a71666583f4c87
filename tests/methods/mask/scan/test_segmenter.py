"""SCAN: its stages, its switches, and inputs at the edge."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.conv_pyramid import ConvPyramidConfig
from ahs_seg.config import ConfigError
from ahs_seg.methods.mask.scan.config import ScanConfig, SemanticConfig
from ahs_seg.methods.mask.scan.context_shift import embed_regions, spread_evenly
from ahs_seg.methods.mask.scan.crops import cut_regions
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig
from ahs_seg.methods.mask.scan.objective import ScanLossConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.builders import random_backbone

SCAN_SMALL = ScanConfig(
    pixels=ConvPyramidConfig(channels=(8, 8, 16, 16)),
    semantic=SemanticConfig(sigmas=(3.0, 2.0, 1.0), looks=2, layers=2, heads=4, feedforward=16, dropout=0.0),
    shifts=(1, 2),
    queries=7,
    dim=64,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=32,
    decoder_layers=2,
    decoder_feedforward=32,
    class_dim=16,
    loss=ScanLossConfig(points=64),
)


def build(**changes: object) -> ScanSegmenter:
    torch.manual_seed(0)
    return SCAN_SMALL.model_copy(update=changes).compose(random_backbone()).eval()


def words(count: int) -> Tensor:
    return torch.randn(count, 1, 24, generator=torch.Generator().manual_seed(count))


def images(count: int = 2, height: int = 50, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_proposals_are_scored_as_the_formulas_say() -> None:
    method = build(ensemble=EnsembleConfig(threshold=0.6, weight=0.6, ratio=0.5))
    pictures, text = images(), words(5)
    features = method.encode(pictures)
    output = method.decode(features, text)
    assert output.proposals is not None
    assert output.proposals.resized == "sigmoids"
    rows = F.normalize(torch.cat([text[:, 0], method.void]), dim=-1)
    own = (100 * F.normalize(features.embeddings[-1], dim=-1) @ rows.T).softmax(-1)
    seen = method.backbone.normalise(pictures)
    context = method.context(seen, features.frame)
    for index in range(2):
        logits = F.interpolate(features.predictions[-1].masks[index][None], size=(64, 96), mode="bilinear")[0]
        masks = logits[:, :50, :70].sigmoid() > 0.6
        for query, mask in enumerate(masks):
            outside = torch.ones(5)
            if mask.any():
                region = cut_regions(seen[index], mask[None], 64)
                embedding = embed_regions(
                    method.shifted,
                    region.pixels,
                    region.foreground(8),
                    {number: start[index : index + 1] for number, start in context.starts.items()},
                    ratio=0.5,
                    choose=spread_evenly,
                )
                outside = (100 * embedding[0] @ rows[:-1].T).softmax(-1)
            expected = own[index, query, :-1] ** 0.4 * outside**0.6
            torch.testing.assert_close(output.proposals.classes[index, query], expected, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_images_of_a_batch_do_not_disturb_one_another() -> None:
    method = build(ensemble=EnsembleConfig(threshold=0.6, ratio=0.9, choice="random"))
    together = method(images(), words(4)).logits
    alone = torch.cat([method(one[None], words(4)).logits for one in images()])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_no_mask_above_the_threshold_leaves_the_proposals_to_themselves() -> None:
    settings = EnsembleConfig(threshold=1.0, weight=0.5)
    method, plain = build(ensemble=settings), build(ensemble=None)
    output, own = method(images(), words(4)).proposals, plain(images(), words(4)).proposals
    assert output is not None
    assert own is not None
    torch.testing.assert_close(output.classes, own.classes**0.5)


@torch.no_grad()
def test_every_switch_changes_what_is_predicted() -> None:
    settings = EnsembleConfig(threshold=0.6, ratio=0.9)
    whole = build(ensemble=settings)
    state = whole.state_dict()
    cases: dict[str, dict[str, object]] = {
        "semantic": {"semantic": None, "ensemble": settings},
        "ensemble": {"ensemble": None},
        "shift": {"ensemble": settings.model_copy(update={"ratio": 0.0})},
        "view": {"context_view": "whole", "ensemble": settings},
    }
    expected = whole(images(), words(4)).logits
    for name, changes in cases.items():
        other = build(**changes)
        own = other.state_dict()
        other.load_state_dict({key: value for key, value in state.items() if key in own})
        assert not torch.allclose(other(images(), words(4)).logits, expected, atol=1e-4), name


@torch.no_grad()
def test_while_training_the_second_stage_rests() -> None:
    method, plain = build().train(), build(ensemble=None).train()
    assert torch.equal(method(images(), words(3)).logits, plain(images(), words(3)).logits)
    assert method.encode(images()).pictures is None


def losses(method: ScanSegmenter, pictures: Tensor, labels: Tensor, classes: int) -> dict[str, Tensor]:
    output = method(pictures, words(classes))
    rows = torch.arange(classes)
    view = TrainingForward(pictures, labels, rows, rows, output, 0.0)
    known = TrainingClasses(tuple(map(str, rows.tolist())), (None,) * classes, lambda: torch.zeros(classes, 24))
    return SCAN_SMALL.objective(method, known)(method, view)


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (4, torch.arange(2 * 50 * 70).reshape(2, 50, 70) // 900 % 4),
        (1, torch.zeros(2, 50, 70, dtype=torch.long)),
        (3, torch.full((2, 50, 70), IGNORE)),
        (3, torch.cat([torch.full((1, 50, 70), IGNORE), torch.ones(1, 50, 70, dtype=torch.long)])),
    ],
    ids=["several", "one class", "nothing labelled", "one image without labels"],
)
def test_losses_are_finite_and_reach_every_weight(classes: int, labels: Tensor) -> None:
    method = build().train()
    found = losses(method, images(), labels, classes)
    assert set(found) == {f"{name}{suffix}" for name in ("label", "mask", "dice") for suffix in ("", "_0", "_1")}
    torch.stack(list(found.values())).sum().backward()
    gradients = {name: value.grad for name, value in method.named_parameters() if value.requires_grad}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    if (labels == IGNORE).all():
        assert all(found[name].item() == 0 for name in found if not name.startswith("label"))


def test_only_the_auxiliary_predictions_asked_for_have_losses() -> None:
    method = build().train()
    objective = SCAN_SMALL.model_copy(update={"loss": SCAN_SMALL.loss.model_copy(update={"auxiliary": 1})})
    rows = torch.arange(2)
    output = method(images(), words(2))
    view = TrainingForward(images(), torch.zeros(2, 50, 70, dtype=torch.long), rows, rows, output, 0.0)
    terms = objective.objective(method, TrainingClasses(("a", "b"), (None, None), lambda: words(2)[:, 0]))
    assert set(terms(method, view)) == {"label", "mask", "dice", "label_0", "mask_0", "dice_0"}


def test_trained_are_all_but_the_two_clips() -> None:
    trained = {name.split(".")[0] for name, value in build().named_parameters() if value.requires_grad}
    assert trained == {"pixels", "pixel_decoder", "decoder", "class_embed", "semantic", "void"}


@torch.no_grad()
def test_the_original_clip_gives_the_context_and_the_shifted_one_looks_at_pictures() -> None:
    method = build()
    before = method.encode(images())
    for value in method.shifted.parameters():
        value.mul_(1.1)
    after = method.encode(images())
    assert torch.equal(before.embeddings[-1], after.embeddings[-1])
    assert before.pictures is not None
    assert after.pictures is not None
    assert not torch.allclose(before.pictures, after.pictures)


def test_levels_and_shifts_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match="block 4 does not exist; this CLIP has 1 to 3"):
        build(shifts=(1, 4))
    with pytest.raises(ConfigError, match="3 widths for 2 levels"):
        build(levels=(1, 2))


def test_the_output_is_that_of_encode_and_decode() -> None:
    method = build()
    with torch.no_grad():
        features = method.encode(images())
        assert torch.equal(method.decode(features, words(3)).logits, method(images(), words(3)).logits)
        other = dataclasses.replace(features, pictures=None, valid=None)
        assert not torch.equal(method.decode(other, words(3)).logits, method(images(), words(3)).logits)
