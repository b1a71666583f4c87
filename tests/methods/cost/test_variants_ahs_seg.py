"""AHS-Seg: what it is without its parts, what each part changes, and what folds away."""

import copy
from functools import cache

import pytest
import torch
from torch import Tensor

from ahs_seg.methods import AhsSegConfig, CatSegConfig, CostSegmenter, HClipConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.objective import SumObjective, TrainingClasses
from ahs_seg.training.optim import parameter_groups
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.tuners import Attention, Orthogonal
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.builders import random_backbone
from tests.support.small_methods import AHS_SEG_SMALL, MODULATED, SMALL, inputs

ROTATED = Orthogonal(block=8)
PLAIN = AHS_SEG_SMALL.replace(fusion=None, projection=None)
SWITCHES = {
    "modulation": AhsSegConfig(cost=PLAIN, tuner=MODULATED),
    "fusion": AhsSegConfig(cost=AHS_SEG_SMALL.replace(projection=None), tuner=ROTATED),
    "projection": AhsSegConfig(cost=AHS_SEG_SMALL.replace(fusion=None), tuner=ROTATED),
}
FULL = AhsSegConfig(cost=AHS_SEG_SMALL, tuner=MODULATED)
NAMES = ("wall-other", "wall-brick", "wall-stone", "cat", "dog")
LABELS = torch.tensor([[[0, 1, 2, 3]] * 4, [[4, 4, IGNORE, 3]] * 4]).repeat_interleave(16, 1).repeat_interleave(16, 2)


def build(config: AhsSegConfig | CatSegConfig | HClipConfig) -> CostSegmenter:
    torch.manual_seed(0)
    return config.compose(random_backbone())


def objective(config: AhsSegConfig | CatSegConfig | HClipConfig, method: CostSegmenter) -> SumObjective:
    categories = ("wall", "wall", "wall", "animal", "animal")
    return config.objective(method, TrainingClasses(NAMES, categories, lambda: embed(method)))


def embed(method: CostSegmenter) -> Tensor:
    encoded = method.backbone.encode_text(method.backbone.tokenizer(list(NAMES)))
    return torch.nn.functional.normalize(encoded, dim=-1)


def view(method: CostSegmenter, progress: float = 0.0) -> TrainingForward:
    images, _ = inputs(5)
    output = method(images, embed(method).unsqueeze(1))
    return TrainingForward(images, LABELS, torch.arange(5), torch.arange(5), output, progress)


@cache
def trained(config: AhsSegConfig) -> tuple[CostSegmenter, list[dict[str, Tensor]]]:
    """What `train` gives after three steps, once for all tests: to be read, not to be changed."""
    return train(config)


def train(config: AhsSegConfig | HClipConfig, steps: int = 3) -> tuple[CostSegmenter, list[dict[str, Tensor]]]:
    """A few steps; the largest gradient of each parameter, step by step."""
    method = build(config).train()
    terms = objective(config, method)
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    gradients = []
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack(list(terms(method, view(method)).values())).sum().backward()
        gradients.append({name: p.grad.abs().max() for name, p in method.named_parameters() if p.grad is not None})
        optimizer.step()
    return method.eval(), gradients


@torch.no_grad()
def test_all_off_is_h_clip_bit_for_bit() -> None:
    one, other = build(HClipConfig(cost=SMALL, tuner=ROTATED)), build(AhsSegConfig(cost=PLAIN, tuner=ROTATED))
    images, text = inputs(5)
    assert torch.equal(one(images, text).logits, other(images, text).logits)
    assert list(one.state_dict()) == list(other.state_dict())
    losses = [
        set(objective(config, one)(one, view(one)))
        for config in (HClipConfig(), AhsSegConfig(cost=PLAIN, tuner=ROTATED))
    ]
    assert losses == [{"segmentation"}] * 2


@torch.no_grad()
def test_all_off_with_attention_tuning_is_cat_seg_bit_for_bit() -> None:
    one, other = build(CatSegConfig(cost=SMALL)), build(AhsSegConfig(cost=PLAIN, tuner=Attention()))
    images, text = inputs(5)
    assert torch.equal(one(images, text).logits, other(images, text).logits)
    trained = [{name for name, p in model.named_parameters() if p.requires_grad} for model in (one, other)]
    assert trained[0] == trained[1]


@torch.no_grad()
def test_starts_with_the_correlation_of_clip() -> None:
    one, other = build(HClipConfig(cost=SMALL, tuner=ROTATED)), build(SWITCHES["projection"])
    images, text = inputs(5)
    torch.testing.assert_close(one(images, text).logits, other(images, text).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", SWITCHES)
def test_each_part_changes_what_is_trained_and_what_is_predicted(part: str) -> None:
    plain, _ = trained(AhsSegConfig(cost=PLAIN, tuner=ROTATED))
    method, _ = trained(SWITCHES[part])
    before = dict(build(SWITCHES[part]).named_parameters())
    own = {name for name in before if name not in dict(plain.named_parameters())}
    assert own
    assert {name.split(".")[2 if part == "modulation" else 1] for name in own} == {part}
    after = dict(method.named_parameters())
    assert any(not torch.equal(before[name], after[name]) for name in own)
    shared = dict(plain.named_parameters())
    assert not torch.allclose(shared["backbone.adapter.bank"], after["backbone.adapter.bank"], rtol=0, atol=1e-8)
    images, text = inputs(5)
    with torch.no_grad():
        difference = (plain(images, text).logits - method(images, text).logits).abs().max()
    assert difference > 1e-3


@pytest.mark.parametrize("config", [*SWITCHES.values(), FULL], ids=[*SWITCHES, "all"])
def test_every_trained_parameter_gets_a_gradient_and_nothing_else_changes(config: AhsSegConfig) -> None:
    before = {name: value.clone() for name, value in build(config).state_dict().items()}
    method, gradients = trained(config)
    wanted = {name for name, p in method.named_parameters() if p.requires_grad}
    for step in gradients:
        assert set(step) == wanted  # so that DDP needs no search for unused parameters
    # Parts that start as the identity give others their first gradient after a step or two.
    assert {name for step in gradients for name, size in step.items() if size > 0} == wanted
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= wanted


@pytest.mark.parametrize(
    ("config", "losses"),
    [
        (SWITCHES["modulation"], {"energy"}),
        (SWITCHES["fusion"], {"boundary"}),
        (SWITCHES["projection"], {"contrastive", "hierarchy"}),
        (FULL, {"energy", "boundary", "contrastive", "hierarchy"}),
    ],
    ids=[*SWITCHES, "all"],
)
def test_losses_and_figures_are_those_of_the_parts(config: AhsSegConfig, losses: set[str]) -> None:
    method, _ = train(config, 2)
    terms = objective(config, method)
    values = terms(method, view(method))
    assert set(values) == {"segmentation", *losses}
    assert all(values[name] > 0 for name in losses)
    figures = terms.statistics(method)
    assert ("alpha/vision/2" in figures) == ("energy" in losses)
    assert ("fusion/2" in figures) == ("boundary" in losses)
    if "contrastive" in losses:
        assert 0 < figures["complexity/least"] <= figures["complexity/mean"] <= figures["complexity/most"] < 1


def test_weights_scale_the_losses() -> None:
    method, _ = train(FULL, 2)
    doubled = FULL.replace(
        cost=AHS_SEG_SMALL.replace(
            fusion=FusionConfig(levels=(0, 1, 2), boundary_weight=0.2),
            projection=ProjectionConfig(contrastive_weight=0.1, hierarchy_weight=0.04),
        )
    )
    forward = view(method)
    one, two = (objective(config, method)(method, forward) for config in (FULL, doubled))
    for name in ("boundary", "contrastive", "hierarchy"):
        torch.testing.assert_close(two[name], 2 * one[name])
    assert method.backbone.adapter is not None
    energy = one["energy"].item()
    method.backbone.adapter.modulation.energy_weight *= 2
    assert objective(FULL, method)(method, forward)["energy"].item() == pytest.approx(2 * energy)


@torch.no_grad()
def test_only_classes_of_the_step_count_for_the_hierarchy() -> None:
    method = build(SWITCHES["projection"]).eval()
    terms, full = objective(SWITCHES["projection"], method), view(method)
    images, _ = inputs(5)
    chosen = torch.tensor([1, 3])  # a wall and a cat: no relation
    output = method(images, embed(method)[chosen].unsqueeze(1))
    part = TrainingForward(images, torch.zeros_like(LABELS), chosen, torch.arange(2), output, 0.0)
    assert terms(method, part)["hierarchy"] == 0
    assert terms(method, full)["hierarchy"] > 0


def test_merged_is_a_plain_clip_and_prepared_words_give_the_same() -> None:
    method, _ = train(FULL)
    method.requires_grad_(requires_grad=False)
    twin = method.for_inference()
    assert twin.backbone.adapter is None
    images, text = inputs(5)
    expected = method(images, text).logits
    torch.testing.assert_close(twin(images, text).logits, expected, rtol=1e-4, atol=1e-5)
    words = twin.prepare(text)
    assert torch.equal(twin(images, words).logits, twin(images, text).logits)
    assert not torch.allclose(words.embeddings, torch.nn.functional.normalize(text, dim=-1), atol=1e-4)
    assert torch.equal(words.guidance, text)
    for parameter in twin.parts.projection.text_base.parameters():
        parameter.zero_()  # prepared words need the text projection no more
    assert torch.equal(twin(images, words).logits, copy.deepcopy(method).for_inference()(images, text).logits)


@pytest.mark.parametrize("part", ["fusion", "projection"])
def test_parts_are_of_use_in_other_methods(part: str) -> None:
    """CAT-Seg's attention tuning with one part of AHS-Seg."""
    cost = SMALL.replace(**{part: getattr(AHS_SEG_SMALL, part)})
    config = CatSegConfig(cost=cost)
    method = build(config).train()
    losses = objective(config, method)(method, view(method))
    torch.stack(list(losses.values())).sum().backward()
    assert ("boundary" in losses, "contrastive" in losses) == (part == "fusion", part == "projection")
    base = build(CatSegConfig(cost=SMALL)).train()
    assert all(torch.equal(value, method.state_dict()[name]) for name, value in base.state_dict().items())


def test_strengths_are_trained_at_the_full_rate_without_decay() -> None:
    method = build(FULL)
    groups = parameter_groups(method, OptimizerConfig(lr=2e-4, clip_multiplier=0.01, weight_decay=1e-4))
    found = {name: group for group in groups for name in group["names"]}  # type: ignore[attr-defined]
    for name in ("backbone.adapter.modulation.vision.alpha_logits", "backbone.adapter.modulation.text.beta_logit"):
        assert (found[name]["lr"], found[name]["weight_decay"]) == (2e-4, 0.0)
    assert found["backbone.adapter.bank"]["lr"] == pytest.approx(2e-6)


def test_a_level_that_the_backbone_does_not_have_is_refused() -> None:
    cost = AHS_SEG_SMALL.replace(fusion=FusionConfig(levels=(1, 3)))
    with pytest.raises(ValueError, match=r"level 3 does not exist.*3 vision blocks.*0 to 2"):
        build(AhsSegConfig(cost=cost, tuner=ROTATED))
