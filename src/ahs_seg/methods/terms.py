"""What the parts of a method ask of training: one term for each part that has a loss."""

from __future__ import annotations

from torch import nn

from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.methods.parts import PartsConfig
from ahs_seg.tuners import Tuner


def part_terms(tuner: Tuner, parts: PartsConfig, method: nn.Module, classes: TrainingClasses) -> list[nn.Module]:
    """The terms of the parts that are on."""
    del tuner, parts, method, classes
    return []
