"""What the parts of AHS-Seg ask of training: their losses, and their figures to watch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import Tower
from ahs_seg.heads.fusion import FusionConfig, HypersphericalFusion
from ahs_seg.heads.projection import DynamicProjection, ProjectionConfig
from ahs_seg.losses.boundary import boundary_loss
from ahs_seg.losses.contrastive import contrastive_loss
from ahs_seg.losses.energy import energy_loss
from ahs_seg.losses.hierarchy import hierarchy_loss, relation_margins
from ahs_seg.methods.cost import CostSegmenter
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.tuners.modulation import EnergyModulation
from ahs_seg.tuners.orthogonal import Rotations
from ahs_seg.types import TrainingForward


class EnergyTerm(nn.Module):
    """HA-HEM: the energy loss of both towers."""

    def forward(self, method: CostSegmenter, view: TrainingForward) -> dict[str, Tensor]:  # noqa: ARG002  # a `Term`
        """The loss, called `energy`."""
        rotations = method.backbone.adapter
        assert isinstance(rotations, Rotations), "the tuner is Orthogonal"
        modulation = _modulation(method)
        depths: dict[Tower, int] = {"vision": method.backbone.depth, "text": method.backbone.text_depth}
        losses = [
            energy_loss(rotations.matrices(tower, depth), modulation.tower(tower).alpha)
            for tower, depth in depths.items()
        ]
        return {"energy": modulation.energy_weight * torch.stack(losses).sum()}

    def statistics(self, method: CostSegmenter) -> dict[str, float]:
        """Strengths of layers and towers."""
        return _modulation(method).statistics()


class BoundaryTerm(nn.Module):
    """MH-FPN: the boundary loss of the logits."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.weight = config.boundary_weight

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:  # noqa: ARG002  # a `Term`
        """The loss, called `boundary`."""
        return {"boundary": self.weight * boundary_loss(view.output.logits, view.labels)}

    def statistics(self, method: CostSegmenter) -> dict[str, float]:
        """Shares of the fused levels."""
        fusion = method.parts.fusion
        assert isinstance(fusion, HypersphericalFusion)
        return fusion.statistics()


class ProjectionTerm(nn.Module):
    """DC-HSP: the contrastive loss of image and words, and the hierarchy loss of the words, after projection."""

    def __init__(self, config: ProjectionConfig, classes: TrainingClasses) -> None:
        super().__init__()
        self.weights = (config.contrastive_weight, config.hierarchy_weight)
        self.embed = classes.embed
        margins = relation_margins(classes.labels, classes.categories)
        self.register_buffer("margins", margins, persistent=False)
        self.margins: Tensor

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:  # noqa: ARG002  # a `Term`
        """The losses, called `contrastive` and `hierarchy`."""
        words = class_words(view)
        margins = self.margins[view.classes][:, view.classes]
        contrastive, hierarchy = self.weights
        return {
            "contrastive": contrastive * contrastive_loss(view.output.compared, view.labels, words),
            "hierarchy": hierarchy * hierarchy_loss(words, margins),
        }

    @torch.no_grad()
    def statistics(self, method: CostSegmenter) -> dict[str, float]:
        """The complexities of the training classes: mean, spread and range; and the factor of the dynamic part."""
        projection = method.parts.projection
        assert isinstance(projection, DynamicProjection)
        training = projection.training
        complexity = projection.eval().complexity(self.embed())
        projection.train(training)
        return {
            "complexity/mean": complexity.mean().item(),
            "complexity/spread": complexity.std(correction=0).item(),
            "complexity/least": complexity.min().item(),
            "complexity/most": complexity.max().item(),
            "projection/scale": projection.scale.item(),
        }


def class_words(view: TrainingForward) -> Float[Tensor, "k d"]:
    """One vector for each class of the step: the sum over its rows and prompts of what the image was compared with."""
    rows = view.output.text.embeddings.float().mean(1)
    return rows.new_zeros(len(view.classes), rows.shape[1]).index_add(0, view.row_class, rows)


def _modulation(method: CostSegmenter) -> EnergyModulation:
    rotations = method.backbone.adapter
    if not isinstance(rotations, Rotations) or rotations.modulation is None:
        raise TypeError("the energy loss needs a method whose tuner is Orthogonal with a modulation")
    return rotations.modulation
