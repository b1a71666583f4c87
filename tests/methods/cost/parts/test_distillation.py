"""Self-distillation: the frozen teacher, the loss by hand and its schedule."""

import math
from dataclasses import replace

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.parts.distillation import (
    Distillation,
    DistillationTerm,
    FrozenTeacher,
    distillation_loss,
    distillation_schedule,
)
from ahs_seg.modules.full_precision import autocast_dtype
from ahs_seg.tuners import Attention, Frozen, Full, Orthogonal
from ahs_seg.types import ClassText, Output, TrainingForward
from tests.support.builders import random_backbone
from tests.support.hyperspherical import (
    LABELS,
    ROTATED,
)
from tests.support.small_methods import inputs
from tests.support.tensors import randn


def test_distillation_by_hand() -> None:
    student = torch.tensor([[2.0, 0.0], [0.0, 3.0]]).T.reshape(1, 2, 1, 2)  # two places: (2, 0) and (0, 3)
    teacher = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).T.reshape(1, 2, 1, 2)
    assert distillation_loss(student, teacher).item() == pytest.approx(math.pi / 8, abs=1e-6)
    assert distillation_loss(student, 7 * student).item() == pytest.approx(0, abs=1e-5)


def test_gradient_of_the_distillation_is_a_difference() -> None:
    student, teacher = randn(2, 4, 2, 3).requires_grad_(), randn(2, 4, 2, 3, seed=1)
    assert torch.autograd.gradcheck(lambda student: distillation_loss(student, teacher), (student,))


def test_the_schedule_of_the_distillation() -> None:
    assert [distillation_schedule(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0.5, 0.3, 0.1])
    assert distillation_schedule(0.25, initial=1.0, final=0.0) == pytest.approx(0.5 + 0.25 * math.sqrt(2))
    warmed = [distillation_schedule(progress, warmup=0.2) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert warmed == pytest.approx([0.0, 0.25, 0.5, 0.3, 0.1])


@torch.no_grad()
@pytest.mark.parametrize("tuner", [ROTATED, Attention(), Full()], ids=lambda tuner: tuner.name)
def test_the_teacher_stays_what_the_encoder_was(tuner: Attention | Full | Orthogonal) -> None:
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


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_teacher_computes_in_the_type_of_the_student(dtype: torch.dtype) -> None:
    """Dense features are float32 in any case, so that their type does not tell; else rounding would be a distance."""
    backbone = ROTATED.apply(random_backbone())
    pixels, text = inputs(5)
    term, types = DistillationTerm(Distillation(), backbone), []
    term.teacher.register_forward_pre_hook(lambda *_: types.append(autocast_dtype(pixels.device)))
    features, words, places = backbone.encode_image(pixels), ClassText(text, text), torch.arange(5)
    output = Output(torch.zeros(2, 5, 8, 8), features, words, features.dense)
    term(backbone, TrainingForward(pixels, LABELS, places, places, output, 0.0, compute_dtype=dtype))
    assert types == [dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tuner", [ROTATED, Attention(), Full()], ids=["rotated", "attention", "full"])
def test_before_the_first_step_the_distance_is_zero(tuner: Orthogonal | Attention | Full, dtype: torch.dtype) -> None:
    backbone = tuner.apply(random_backbone())
    pixels, text = inputs(5)
    term, places = DistillationTerm(Distillation(), backbone), torch.arange(5)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        features = backbone.encode_image(pixels)  # with gradients, as in training
    assert features.dense.requires_grad
    output = Output(torch.zeros(2, 5, 8, 8), features, ClassText(text, text), features.dense)
    term(backbone, TrainingForward(pixels, LABELS, places, places, output, 0.0, compute_dtype=dtype))
    assert term.statistics(backbone)["teacher/distance"] < 1e-5
    assert not term.teacher(backbone, pixels).requires_grad


@torch.no_grad()
def test_the_loss_is_the_distance_to_the_teacher_with_both_weights() -> None:
    """Halfway from 0.5 to 0.1 the factor is 0.3."""
    backbone = ROTATED.apply(random_backbone())
    pixels, text = inputs(5)
    term = DistillationTerm(Distillation(weight=0.2), backbone)
    start = backbone.encode_image(pixels)
    moved = replace(start, dense=start.dense + torch.randn_like(start.dense))
    output, places = Output(torch.zeros(2, 5, 8, 8), moved, ClassText(text, text), moved.dense), torch.arange(5)
    found = term(backbone, TrainingForward(pixels, LABELS, places, places, output, 0.5))
    torch.testing.assert_close(found["distillation"], 0.2 * 0.3 * distillation_loss(moved.dense, start.dense))


def test_distillation_needs_an_encoder_that_is_tuned() -> None:
    with pytest.raises(ConfigError, match=r"distillation.*nothing of it is tuned.*method\.tuner"):
        FrozenTeacher(Frozen().apply(random_backbone()))


def test_the_angle_is_that_of_the_features_at_every_position() -> None:
    student, teacher = randn(2, 3, 4, 5), randn(2, 3, 4, 5, seed=1)
    angles = torch.acos(torch.cosine_similarity(student, teacher, dim=1))
    torch.testing.assert_close(distillation_loss(student, teacher), angles.mean())
