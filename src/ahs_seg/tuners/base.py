"""What every tuner of a backbone answers."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config


class TunerConfig(Config):
    """Base of all tuners: which weights of a backbone train, and how."""

    @abstractmethod
    def apply(self, backbone: Backbone) -> Backbone:
        """Choose and add what trains, in place; the function that the backbone computes does not change."""

    def merge(self, backbone: Backbone) -> Backbone:
        """Fold what `apply` added into plain weights, in place; here nothing was added."""
        return backbone

    def term(self) -> nn.Module | None:
        """A term of the training objective, called with the tuned backbone (None: the tuner has no loss)."""
        return None


def freeze(backbone: Backbone) -> Backbone:
    """The backbone with no trainable parameter."""
    backbone.requires_grad_(requires_grad=False)
    return backbone
