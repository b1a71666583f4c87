"""SDR: self-distillation from the image encoder before tuning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn
from torch.func import functional_call

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import ConfigError
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.geodesic import geodesic_distance
from ahs_seg.modules.resize import resize
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.types import TrainingForward


def distillation_loss(student: Float[Tensor, "b d h w"], teacher: Float[Tensor, "b d h w"]) -> Float[Tensor, ""]:
    """Mean angle, in radians, between student and teacher features at the same position.

    Source: AHS-Seg's simple design, SDR.
    """
    one, other = (F.normalize(part.movedim(1, -1), dim=-1) for part in (student, teacher))
    return geodesic_distance(one, other).mean()


def distillation_schedule(progress: float, *, initial: float = 0.5, final: float = 0.1, warmup: float = 0.0) -> float:
    """Loss weight at a training progress in [0, 1]: half a cosine period from `initial` to `final`.

    It follows a linear rise from 0 during the share `warmup` of the training. The published code has one of 5,000 of
    80,000 steps (0.0625), although its text says "large at the start".
    """
    if progress < warmup:
        return initial * progress / warmup
    progress = (progress - warmup) / (1 - warmup)
    return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * progress))


_DOT = "/"  # names of buffers have no dots


class Distillation(ModuleConfig):
    """Spherical self-distillation (AHS-Seg's simple design, SDR): keeps the tuned encoder near the original CLIP.

    The loss (`distillation_loss`) is multiplied by `weight` and by a factor that falls from `initial` to `final` during
    training, after a rise from 0 during the share `warmup` of it (`distillation_schedule`).
    """

    TUNED: ClassVar[Mapping[str, Any]] = {"weight": 3.0}

    weight: NonNegativeFloat = 0.1
    initial: NonNegativeFloat = 0.5
    final: NonNegativeFloat = 0.1
    warmup: float = Field(default=0.0, ge=0, lt=1)

    def build(self, backbone: Backbone) -> FrozenTeacher:
        """The teacher for a backbone with tuner, created before the first training step."""
        return FrozenTeacher(backbone)

    def term(self, backbone: Backbone, classes: TrainingClasses) -> DistillationTerm:
        """The loss term of the distillation; the teacher is the backbone in its current state."""
        del classes
        return DistillationTerm(self, backbone)


class FrozenTeacher(nn.Module):
    """Dense features of a backbone in its state when the teacher was created; no gradient and no parameters.

    Rotations do not change the original weights, so the teacher of a rotated CLIP uses the same weights without the
    rotations and needs no memory. Weights that are tuned directly are copied. In the published code the teacher is the
    student in evaluation mode, so that its loss is only a rounding error without gradient.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        tuned = {name: value for name, value in backbone.image_parameters().items() if value.requires_grad}
        if not tuned and backbone.adapter is None:
            raise ConfigError(
                "method.cost.distillation keeps a tuned image encoder near its start, but nothing of it is tuned. "
                "Choose another method.tuner, or switch distillation off (null)."
            )
        for name, value in tuned.items():
            self.register_buffer(name.replace(".", _DOT), value.detach().clone())

    def forward(self, backbone: Backbone, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """The teacher's dense features of images (RGB in [0, 1]) at the resolution of the backbone.

        Nothing of it needs a gradient, so that no graph is built; under `no_grad` it would take other kernels than the
        student, whose rounding in bf16 is as large as the angle that training moves the features by.
        """
        encoder = _PlainEncoder(backbone)
        start = {f"backbone.model.{name.replace(_DOT, '.')}": value for name, value in self.named_buffers()}
        dense: Tensor = functional_call(encoder, start, (images,))
        return dense.detach()


class _PlainEncoder(nn.Module):
    """The image encoder of a backbone without its adapter; all weights are shared, not copied."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.without_adapter()

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        return self.backbone.encode_image(images).dense


class DistillationTerm(nn.Module):
    """Loss term of SDR: mean angle to the features of the encoder in its state when the term was created."""

    def __init__(self, config: Distillation, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.teacher = config.build(backbone)
        self._distance: Tensor | None = None

    def forward(self, backbone: Backbone, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `distillation`."""
        student, images = view.output.features.dense, resize(view.images, backbone.resolution)
        # Same precision as the student, so that rounding differences do not count as a change of the encoder.
        dtype = view.compute_dtype
        with torch.autocast(student.device.type, dtype=dtype, enabled=dtype != torch.float32):
            teacher = self.teacher(backbone, images)
        distance = distillation_loss(student.float(), teacher.float())
        self._distance = distance.detach()
        config = self.config
        factor = distillation_schedule(view.progress, initial=config.initial, final=config.final, warmup=config.warmup)
        return {"distillation": config.weight * factor * distance}

    def statistics(self, backbone: Backbone) -> dict[str, float]:
        """Values to log: the mean angle to the teacher in the last step, in radians."""
        del backbone  # the value was stored in the last step
        return {} if self._distance is None else {"teacher/distance": self._distance.item()}
