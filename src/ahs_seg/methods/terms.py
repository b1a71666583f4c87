"""What the parts of a method ask of training: one term for each part that has a loss."""

from __future__ import annotations

from torch import nn

from ahs_seg.methods.ahs_seg_terms import BoundaryTerm, EnergyTerm, ProjectionTerm
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.methods.parts import PartsConfig
from ahs_seg.tuners import Orthogonal, Tuner


def part_terms(tuner: Tuner, parts: PartsConfig, method: nn.Module, classes: TrainingClasses) -> list[nn.Module]:
    """The terms of the parts that are on."""
    del method
    terms: list[nn.Module] = []
    if isinstance(tuner, Orthogonal) and tuner.modulation is not None:
        terms.append(EnergyTerm())
    if parts.fusion is not None:
        terms.append(BoundaryTerm(parts.fusion))
    if parts.projection is not None:
        terms.append(ProjectionTerm(parts.projection, classes))
    return terms
