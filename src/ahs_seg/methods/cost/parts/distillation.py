"""SDR's teacher: the image encoder as it was before tuning."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.func import functional_call

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config, ConfigError
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.geodesic import geodesic_distance
from ahs_seg.modules.resize import resize
from ahs_seg.types import TrainingForward


def distillation_loss(student: Float[Tensor, "b d h w"], teacher: Float[Tensor, "b d h w"]) -> Float[Tensor, ""]:
    """Mean angle between the features of both at the same place, in radians. Source: AHS-Seg's simple design, SDR."""
    one, other = (F.normalize(part.movedim(1, -1), dim=-1) for part in (student, teacher))
    return geodesic_distance(one, other).mean()


def distillation_schedule(progress: float, *, initial: float = 0.5, final: float = 0.1) -> float:
    """The weight after a share of the training: half a cosine from `initial` to `final`.

    The published code raises it from 0 over the first 5,000 steps, against its own words "large at the start".
    """
    return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * progress))


_DOT = "/"  # names of buffers have no dots


class Distillation(Config):
    """Spherical self-distillation (AHS-Seg's simple design, SDR): the tuned encoder stays near the CLIP it was.

    The loss is `weight` times a factor that falls over the training from `initial` to `final`
    (`losses.distillation`).
    """

    weight: NonNegativeFloat = 0.1
    initial: NonNegativeFloat = 0.5
    final: NonNegativeFloat = 0.1

    def build(self, backbone: Backbone) -> FrozenTeacher:
        """The teacher of a tuned backbone whose training has not begun."""
        return FrozenTeacher(backbone)

    def term(self, backbone: Backbone, classes: TrainingClasses) -> DistillationTerm:
        """What distillation asks of training; the teacher is the backbone as it is now."""
        del classes
        return DistillationTerm(self, backbone)


class FrozenTeacher(nn.Module):
    """Dense features of the CLIP that a backbone was when the teacher was made; no gradient, no parameter.

    Rotations leave the weights as they are, so the teacher of a rotated CLIP is the same weights without rotations and
    costs no memory. Of weights that are tuned themselves it keeps their values. The published code's teacher is the
    student in evaluation mode, so its loss is a rounding floor without gradient.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        tuned = {name: value for name, value in backbone.image_parameters().items() if value.requires_grad}
        if not tuned and backbone.adapter is None:
            raise ConfigError(
                "method.cost.distillation keeps a tuned image encoder near its start, but nothing of it is tuned. "
                "Choose another method.tuner, or leave distillation out (null)."
            )
        for name, value in tuned.items():
            self.register_buffer(name.replace(".", _DOT), value.detach().clone())

    @torch.no_grad()
    def forward(self, backbone: Backbone, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        """Dense features of images (RGB in [0, 1]) at the resolution of the backbone."""
        encoder = _PlainEncoder(backbone)
        start = {f"backbone.model.{name.replace(_DOT, '.')}": value for name, value in self.named_buffers()}
        dense: Tensor = functional_call(encoder, start, (images,))
        return dense


class _PlainEncoder(nn.Module):
    """The image encoder without an adapter; it shares every weight with the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.without_adapter()

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b d h w"]:
        return self.backbone.encode_image(images).dense


class DistillationTerm(nn.Module):
    """SDR: the tuned encoder stays near the CLIP it was when the term was made."""

    def __init__(self, config: Distillation, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.teacher = config.build(backbone)
        self._distance: Tensor | None = None

    def forward(self, backbone: Backbone, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `distillation`."""
        student, images = view.output.features.dense, resize(view.images, backbone.resolution)
        # In the precision of the student: what differs between two precisions is not forgetting.
        with torch.autocast(student.device.type, dtype=student.dtype, enabled=student.dtype != torch.float32):
            teacher = self.teacher(backbone, images)
        distance = distillation_loss(student.float(), teacher.float())
        self._distance = distance.detach()
        factor = distillation_schedule(view.progress, initial=self.config.initial, final=self.config.final)
        return {"distillation": self.config.weight * factor * distance}

    def statistics(self, backbone: Backbone) -> dict[str, float]:
        """The last mean angle to the teacher, in radians."""
        del backbone  # the figure is that of the last step
        return {} if self._distance is None else {"teacher/distance": self._distance.item()}
