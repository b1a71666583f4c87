"""What the configs of all methods of the cost family have in common."""

from __future__ import annotations

from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.methods.base import BaseMethodConfig
from ahs_seg.methods.cost.segmenter import CostConfig, CostSegmenter
from ahs_seg.methods.objective import BoundTerm, SegmentationObjective, SumObjective, TrainingClasses
from ahs_seg.tuners import Tuner


class CostMethodConfig(BaseMethodConfig):
    """A CLIP, a tuner of it, and the cost aggregation with its parts; methods are named choices of the three."""

    backbone: ClipConfig = ClipConfig(resolution=384)
    tuner: Tuner
    cost: CostConfig = CostConfig()

    def compose(self, backbone: Backbone) -> CostSegmenter:
        """The method on a backbone that exists."""
        return self.cost.build(self.tuner.apply(backbone), fold=self.tuner.merge)

    def objective(
        self,
        method: nn.Module,
        classes: TrainingClasses,
        *,
        ignore_as_negative: bool = True,
    ) -> SumObjective:
        """What training minimises; some parts take their start from the training classes."""
        segmentation = SegmentationObjective(ignore_as_negative=ignore_as_negative)
        tuned = self.tuner.term()
        energy = [] if tuned is None else [BoundTerm("backbone", tuned)]
        return SumObjective([segmentation, *energy, *self.cost.terms(method, classes)])

    def for_classes(self, count: int) -> CostMethodConfig:
        """The config for training with so many classes; parts that keep something per class take their size from it."""
        prototypes = self.cost.prototypes
        if prototypes is None or prototypes.count is not None:
            return self
        cost = self.cost.replace(prototypes=prototypes.replace(count=count))
        return self.replace(cost=cost)
