"""HPS-Seg and AHS-Seg's simple design: what they are without their parts, what each part changes, what folds away."""

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.methods import HClipConfig
from ahs_seg.methods.cost.parts.distillation import FrozenTeacher
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank
from ahs_seg.training.optim import parameter_groups
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.tuners import Attention, Frozen, Full
from ahs_seg.types import TrainingForward
from tests.methods.cost.test_segmenter import SMALL, inputs
from tests.support.builders import random_backbone
from tests.support.hyperspherical import (
    FULL,
    LABELS,
    ROTATED,
    SWITCHES,
    Built,
    build,
    embed,
    hps,
    lite,
    objective,
    train,
    view,
)

ALL = SWITCHES | FULL
OWN = {
    "lite prototypes": {"parts.prototypes"},
    "lite distillation": set(),
    "lite rectification": {"parts.rectifier"},
    "lite geodesic": {"head.similarity"},
    "hps hpa": {"parts.aligner", "parts.prototypes"},
    "hps afr": {"parts.rectifier"},
}
LOSSES = {
    "lite prototypes": {"prototypes"},
    "lite distillation": {"distillation"},
    "lite rectification": {"consistency"},
    "lite geodesic": set(),
    "hps hpa": {"prototype_distance", "prototype_contrast"},
    "hps afr": {"gates"},
}
FIGURES = {
    "prototypes": "prototypes/seen",
    "distillation": "teacher/distance",
    "consistency": "gates/channel",
    "prototype_distance": "prototypes/temperature_mean",
    "gates": "gates/mix",
}


@torch.no_grad()
@pytest.mark.parametrize("config", [lite(), hps()], ids=["lite", "hps"])
def test_all_off_is_h_clip_bit_for_bit(config: Built) -> None:
    plain = HClipConfig(cost=SMALL, tuner=ROTATED)
    one, other = build(plain), build(config)
    images, text = inputs(5)
    assert torch.equal(one(images, text).logits, other(images, text).logits)
    assert list(one.state_dict()) == list(other.state_dict())
    assert [set(objective(each, one)(one, view(one))) for each in (plain, config)] == [{"segmentation"}] * 2


@pytest.mark.parametrize("part", SWITCHES)
def test_each_part_changes_what_is_trained_and_what_is_predicted(part: str) -> None:
    plain, _, _ = train(hps())
    method, _, _ = train(SWITCHES[part])
    before = dict(build(SWITCHES[part]).named_parameters())
    own = {name for name in before if name not in dict(plain.named_parameters())}
    assert {".".join(name.split(".")[:2]) for name in own} == OWN[part]
    after, shared = dict(method.named_parameters()), dict(plain.named_parameters())
    assert not own or any(not torch.equal(before[name], after[name]) for name in own)
    assert not torch.allclose(shared["backbone.adapter.bank"], after["backbone.adapter.bank"], rtol=0, atol=1e-8)
    images, text = inputs(5)
    with torch.no_grad():
        difference = (plain(images, text).logits - method(images, text).logits).abs().max()
    assert difference > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("part", [part for part in SWITCHES if part != "lite distillation"])
def test_parts_of_the_prediction_act_before_any_training(part: str) -> None:
    method, plain = build(SWITCHES[part]), build(hps())
    if isinstance(bank := method.parts.prototypes, PrototypeBank):
        bank.start(embed(method))
    images, text = inputs(5)
    assert (method(images, text).logits - plain(images, text).logits).abs().max() > 1e-4


@pytest.mark.parametrize("config", ALL.values(), ids=list(ALL))
def test_every_trained_parameter_gets_a_gradient_and_nothing_else_changes(config: Built) -> None:
    start = build(config)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    method, _, gradients = train(config)
    wanted = {name for name, p in method.named_parameters() if p.requires_grad}
    for step in gradients:
        assert set(step) == wanted  # so that DDP needs no search for unused parameters
    assert {name for step in gradients for name, size in step.items() if size > 0} == wanted
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= wanted | {"parts.prototypes.prototypes", "parts.prototypes.seen"}


@pytest.mark.parametrize("part", SWITCHES)
def test_losses_and_figures_are_those_of_the_parts(part: str) -> None:
    method, terms, _ = train(SWITCHES[part], 2)
    values = terms(method, view(method))
    assert set(values) == {"segmentation", *LOSSES[part]}
    assert all(values[name] > 0 for name in LOSSES[part])
    figures = terms.statistics(method)
    assert {FIGURES[name] for name in LOSSES[part] if name in FIGURES} <= set(figures)
    assert bool(figures) == bool(LOSSES[part])
    if "prototypes/seen" in figures:
        assert figures["prototypes/seen"] == 1


@torch.no_grad()
@pytest.mark.parametrize("config", FULL.values(), ids=list(FULL))
def test_merged_is_a_plain_clip_and_prepared_words_give_the_same(config: Built) -> None:
    with torch.enable_grad():
        method, _, _ = train(config)
    twin = method.for_inference()
    assert twin.backbone.adapter is None
    images, text = inputs(7)  # words that training never had
    torch.testing.assert_close(twin(images, text).logits, method(images, text).logits, rtol=1e-4, atol=1e-5)
    words = twin.prepare(text)
    expected = twin(images, text).logits
    bank = twin.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    bank.prototypes.zero_()  # prepared words need the prototypes no more
    assert torch.equal(twin(images, words).logits, expected)


@torch.no_grad()
def test_words_are_drawn_to_prototypes_in_the_simple_design_only() -> None:
    _, text = inputs(7)
    for config, moved in ((FULL["lite"], True), (FULL["hps"], False)):
        method = build(config)
        method.parts.prototypes.start(embed(method))  # type: ignore[union-attr,operator]
        words = method.prepare(text)
        assert torch.equal(words.embeddings, text) != moved
        assert torch.equal(words.guidance, words.embeddings)


def test_losses_see_the_prototypes_of_earlier_steps_only() -> None:
    config = hps("hpa")
    method = build(config).train()
    terms, bank = objective(config, method), method.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    first = terms(method, view(method))
    assert first["prototype_distance"] == first["prototype_contrast"] == 0  # nothing to compare with
    assert first["prototype_distance"].requires_grad
    assert not bank.seen.any()
    terms.update(method)
    assert bank.seen.all()
    again = terms(method, view(method))
    assert again["prototype_distance"] > 0
    torch.testing.assert_close(bank.prototypes.norm(dim=1), torch.ones(5))


def test_parts_of_a_batch_update_like_the_whole_batch() -> None:
    results = []
    for parts in (1, 2):
        config = lite("prototypes")
        method = build(config)
        terms = objective(config, method)
        whole = view(method)
        for chosen in torch.arange(2).chunk(parts):
            output = method(whole.images[chosen], embed(method).unsqueeze(1))
            terms(
                method,
                TrainingForward(whole.images[chosen], LABELS[chosen], whole.classes, whole.row_class, output, 0.0),
            )
        terms.update(method)
        results.append(method.parts.prototypes.prototypes)  # type: ignore[union-attr]
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_classes_of_a_step_are_found_in_the_training_vocabulary() -> None:
    config = lite("prototypes")
    method = build(config)
    terms, bank = objective(config, method), method.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    start = bank.prototypes.clone()
    images, _ = inputs(2)
    chosen = torch.tensor([1, 3])
    labels = torch.where(LABELS >= 0, LABELS % 2, LABELS)
    output = method(images, embed(method)[chosen].unsqueeze(1))
    terms(method, TrainingForward(images, labels, chosen, torch.arange(2), output, 0.0))
    terms.update(method)
    assert bank.seen.tolist() == [False, True, False, True, False]
    assert torch.equal(bank.prototypes[::2], start[::2])
    assert not torch.allclose(bank.prototypes[1], start[1], atol=1e-3)


def test_scalars_are_trained_without_decay() -> None:
    for config in FULL.values():
        groups = parameter_groups(build(config), OptimizerConfig(lr=2e-4, weight_decay=1e-4))
        decay = {name: group["weight_decay"] for group in groups for name in group["names"]}  # type: ignore[attr-defined]
        free = {name for name, value in decay.items() if value == 0 and not name.startswith("head.layers")}
        assert {"parts.prototypes.theta", "parts.rectifier.mix_logit"} <= free
        assert decay["parts.rectifier.channel.0.weight"] == 1e-4
    assert "head.similarity.raw_curvature" in {
        name
        for group in parameter_groups(build(FULL["lite"]), OptimizerConfig())
        for name in group["names"]
        if group["weight_decay"] == 0
    }


@torch.no_grad()
@pytest.mark.parametrize("tuner", [ROTATED, Attention(), Full()], ids=lambda tuner: tuner.name)
def test_the_teacher_stays_what_the_encoder_was(tuner: Attention) -> None:
    backbone = tuner.apply(random_backbone())
    images, _ = inputs(1)
    start = backbone.encode_image(images).dense
    teacher = FrozenTeacher(backbone)
    assert not list(teacher.parameters())
    # Rotations leave the weights alone: their teacher needs no memory.
    assert bool(list(teacher.buffers())) == (tuner is not ROTATED)
    for value in backbone.parameters():
        if value.requires_grad:
            value.add_(0.1 * torch.randn_like(value))
    tuned = backbone.encode_image(images).dense
    assert (tuned - start).abs().max() > 0.1
    torch.testing.assert_close(teacher(backbone, images), start)
    assert torch.equal(backbone.encode_image(images).dense, tuned)


def with_count(config: Built, count: int | None) -> Built:
    prototypes = config.cost.prototypes
    assert prototypes is not None
    cost = config.cost.model_copy(update={"prototypes": prototypes.model_copy(update={"count": count})})
    return config.model_copy(update={"cost": cost})


def test_the_number_of_classes_comes_from_the_data() -> None:
    open_count = with_count(lite("prototypes"), None)
    with pytest.raises(ConfigError, match=r"prototypes\.count is not set.*for_classes\(171\)"):
        build(open_count)
    assert build(open_count.for_classes(7)).parts.prototypes.count == 7  # type: ignore[union-attr]
    config = with_count(open_count, 4).for_classes(7)
    assert config.cost.prototypes.count == 4  # type: ignore[union-attr]  # what was set stays
    with pytest.raises(ConfigError, match="count is 4, but training has 5 classes"):
        objective(config, build(config))
    assert hps("afr").for_classes(7) == hps("afr")


def test_distillation_needs_an_encoder_that_is_tuned() -> None:
    with pytest.raises(ConfigError, match=r"distillation.*nothing of it is tuned.*method\.tuner"):
        FrozenTeacher(Frozen().apply(random_backbone()))
