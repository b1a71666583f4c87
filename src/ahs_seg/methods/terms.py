"""What the parts of a method ask of training: one term for each part that has a loss."""

from __future__ import annotations

from torch import nn

from ahs_seg.heads.rectification import CertaintyRectification
from ahs_seg.methods.ahs_seg_terms import BoundaryTerm, EnergyTerm, ProjectionTerm
from ahs_seg.methods.cost import CostSegmenter
from ahs_seg.methods.hyperspherical_terms import ConsistencyTerm, DistillationTerm, GateTerm, PrototypeTerm
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.methods.parts import PartsConfig
from ahs_seg.tuners import Orthogonal, Tuner


def part_terms(tuner: Tuner, parts: PartsConfig, method: nn.Module, classes: TrainingClasses) -> list[nn.Module]:
    """The terms of the parts that are on."""
    assert isinstance(method, CostSegmenter), "these configs build nothing else"
    terms: list[nn.Module] = []
    if isinstance(tuner, Orthogonal) and tuner.modulation is not None:
        terms.append(EnergyTerm())
    if parts.fusion is not None:
        terms.append(BoundaryTerm(parts.fusion))
    if parts.projection is not None:
        terms.append(ProjectionTerm(parts.projection, classes))
    if parts.prototypes is not None:
        terms.append(PrototypeTerm(parts.prototypes, method, classes))
    if isinstance(parts.rectification, CertaintyRectification):
        terms.append(ConsistencyTerm(parts.rectification))
    elif parts.rectification is not None:
        terms.append(GateTerm(parts.rectification))
    if parts.distillation is not None:
        terms.append(DistillationTerm(parts.distillation, method.backbone))
    return terms
