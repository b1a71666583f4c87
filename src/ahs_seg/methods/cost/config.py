"""Base class of the configs of the cost family."""

from __future__ import annotations

from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.methods.base import BaseMethodConfig
from ahs_seg.methods.cost.segmenter import CostConfig, CostSegmenter
from ahs_seg.methods.objective import BoundTerm, SegmentationObjective, SumObjective, TrainingClasses
from ahs_seg.tuners import Tuner


class CostMethodConfig(BaseMethodConfig):
    """Config of a cost method: a CLIP, its tuner, and the cost aggregation with its optional parts."""

    backbone: ClipConfig = ClipConfig(resolution=384)
    tuner: Tuner
    cost: CostConfig = CostConfig()

    def build(self) -> CostSegmenter:
        """The method with the pre-trained weights of its backbone.

        Raises:
            ConfigError: the patch grid of the backbone is no multiple of the attention windows.
        """
        backbone = self.backbone.build()
        self.cost.check_grid(backbone)
        return self.compose(backbone)

    def compose(self, backbone: Backbone) -> CostSegmenter:
        """The method on the given backbone."""
        return self.cost.build(self.tuner.apply(self.backbone.in_form(backbone)), fold=self.tuner.merge)

    def objective(
        self,
        method: nn.Module,
        classes: TrainingClasses,
        *,
        ignore_as_negative: bool = True,
    ) -> SumObjective:
        """The training objective; some parts are initialised from the training classes."""
        segmentation = SegmentationObjective(ignore_as_negative=ignore_as_negative)
        tuned = self.tuner.term()
        energy = [] if tuned is None else [BoundTerm("backbone", tuned)]
        return SumObjective([segmentation, *energy, *self.cost.terms(method, classes)])

    def for_classes(self, count: int) -> CostMethodConfig:
        """The config for training with `count` classes, which sets the number of prototypes if it is not set."""
        prototypes = self.cost.prototypes
        if prototypes is None or prototypes.count is not None:
            return self
        cost = self.cost.replace(prototypes=prototypes.replace(count=count))
        return self.replace(cost=cost)
