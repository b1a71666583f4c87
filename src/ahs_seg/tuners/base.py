"""The interface of all tuners."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config


class TunerConfig(Config):
    """Base class of all tuners: a config that selects or adds the trainable parameters of a backbone."""

    @abstractmethod
    def apply(self, backbone: Backbone) -> Backbone:
        """Select or add the trainable parameters, in place; the output of the backbone does not change."""

    def merge(self, backbone: Backbone) -> Backbone:
        """Fold the parameters that `apply` added into the original weights, in place; by default there are none."""
        return backbone

    def term(self) -> nn.Module | None:
        """The loss term of the tuner, called with the tuned backbone (None: the tuner has no loss)."""
        return None


def freeze(backbone: Backbone) -> Backbone:
    """The backbone with all parameters frozen, in place."""
    backbone.requires_grad_(requires_grad=False)
    return backbone
