"""What generic code needs of a method."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.types import Output, Words


@runtime_checkable
class Method(Protocol):
    """What inference needs of a method."""

    backbone: ClipBackbone

    def __call__(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """Logits of every row of the text."""

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> Words:
        """The words as the method reads them; `seen` marks rows whose class training has seen (None: not known)."""

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores in [0, 1], for each number by itself."""
