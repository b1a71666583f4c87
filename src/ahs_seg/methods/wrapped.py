"""Base class of methods that stand for another one and change how it is computed."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from ahs_seg.methods.base import Merging, Method
from ahs_seg.types import ClassText
from ahs_seg.vocabulary.seen_classes import SoftOverlap


class WrappedMethod(Method):
    """Method with the properties, text and scores of another one; subclasses say how `encode` and `decode` run."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.backbone = method.backbone
        self.keeps_aspect = method.keeps_aspect
        self.runtime = method.runtime

    @property
    def merging(self) -> Merging:
        """How the method merges views."""
        return self.method.merging

    @property
    def uses_seen(self) -> bool:  # type: ignore[override]  # that of the method
        """Whether the method scores classes that were seen in training in another way."""
        return self.method.uses_seen

    @property
    def soft_overlap(self) -> SoftOverlap | None:  # type: ignore[override]  # that of the method
        """How far a class counts as seen by its text embedding, as in the method."""
        return self.method.soft_overlap

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> ClassText:
        """Text embeddings in the form that the method uses."""
        return self.method.prepare(text, seen)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores of the method for logits."""
        return self.method.scores(logits)
