"""Training objectives: sums of loss terms, each of which returns its losses by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ahs_seg.types import IGNORE, TrainingForward

BUDGET = 256 * 2**20
"""Maximum size, in bytes, of one chunk of class logits resized to the label map."""


def segmentation_loss(
    logits: Float[Tensor, "b t h w"],
    labels: Int[Tensor, "b H W"],
    *,
    ignore_as_negative: bool = True,
    budget: int = BUDGET,
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy over all classes and pixels, with logits resized (bilinear) to the label map.

    `ignore_as_negative` is CAT-Seg's behaviour: pixels without a label are negatives of all classes. Without it they
    are excluded from the mean. Logits are resized in chunks of as many classes as fit into `budget` bytes, and resized
    again in the backward pass, so that memory does not grow with classes times pixels.
    """
    classes = logits.shape[1]
    size = max(1, budget // (4 * labels.numel()))
    if size >= classes or not torch.is_grad_enabled():
        parts = [_chunk_loss(part, labels, size * index) for index, part in enumerate(logits.split(size, 1))]
    else:
        parts = [
            checkpoint(_chunk_loss, part, labels, size * index, use_reentrant=False)
            for index, part in enumerate(logits.split(size, 1))
        ]
    per_pixel = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
    if ignore_as_negative:
        return per_pixel.mean() / classes
    valid = labels != IGNORE
    return (per_pixel * valid).sum() / (valid.sum().clamp(min=1) * classes)


def _chunk_loss(logits: Float[Tensor, "b c h w"], labels: Int[Tensor, "b H W"], first: int) -> Float[Tensor, "b H W"]:
    """Per-pixel sum of the binary cross-entropies of one chunk of classes, the first of which is class `first`.

    BCE(z, y) = softplus(z) - y z with a one-hot target y, so the sum of y z is a single gathered value.
    """
    resized = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    rows = labels - first
    inside = (rows >= 0) & (rows < logits.shape[1]) & (labels != IGNORE)
    positive = resized.gather(1, torch.where(inside, rows, 0).unsqueeze(1)).squeeze(1)
    return F.softplus(resized).sum(1) - positive * inside


@dataclass(frozen=True, slots=True)
class TrainingClasses:
    """The training classes of a method.

    `categories` are their super-categories (None: not known). `embed` computes one text embedding per class, a unit
    vector, with the current weights of the method's backbone.
    """

    labels: tuple[str, ...]
    categories: tuple[str | None, ...]
    embed: Callable[[], Float[Tensor, "k d"]]


Term = Callable[[nn.Module, TrainingForward], Mapping[str, Tensor]]
"""A loss term: function of a method and its training forward; returns weighted losses by name. May be a module."""


@runtime_checkable
class HasStatistics(Protocol):
    """A loss term that also reports values to log."""

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """Values to log by name, such as `alpha/vision/3`."""


@runtime_checkable
class HasUpdate(Protocol):
    """A loss term with state that is updated after every step, such as prototypes."""

    def update(self, method: nn.Module) -> None:
        """Update the state; called in every process after each optimiser step."""


@runtime_checkable
class HasForget(Protocol):
    """A loss term that collects values during a step, such as the features for the update of prototypes."""

    def forget(self) -> None:
        """Drop what was collected since the last update; called where a step begins anew."""


class BoundTerm(nn.Module):
    """A loss term that is applied to one submodule of the method, given by its attribute path (as `parts.fusion`).

    The submodule is looked up in every call, so that the objective does not own a part of the method.
    """

    def __init__(self, place: str, term: nn.Module) -> None:
        super().__init__()
        self.part = attrgetter(place)
        self.term = term

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The losses of the term, applied to its submodule."""
        losses: dict[str, Tensor] = self.term(self.part(method), view)
        return losses

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """Values to log from the term; empty if it reports none."""
        return self.term.statistics(self.part(method)) if isinstance(self.term, HasStatistics) else {}

    def update(self, method: nn.Module) -> None:
        """Update the state of the term, if it has one."""
        if isinstance(self.term, HasUpdate):
            self.term.update(self.part(method))

    def forget(self) -> None:
        """Drop what the term has collected, if it collects anything."""
        if isinstance(self.term, HasForget):
            self.term.forget()


class SegmentationObjective(nn.Module):
    """Loss term with the segmentation loss of the cost family, see `segmentation_loss`."""

    def __init__(self, *, ignore_as_negative: bool = True) -> None:
        super().__init__()
        self.ignore_as_negative = ignore_as_negative

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, under the key `segmentation`."""
        del method  # the loss depends only on the logits
        loss = segmentation_loss(view.output.logits, view.labels, ignore_as_negative=self.ignore_as_negative)
        return {"segmentation": loss}


class SumObjective(nn.Module):
    """Sum of several loss terms; the names of their losses must be unique."""

    def __init__(self, terms: Sequence[nn.Module]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The losses of all terms by name."""
        losses: dict[str, Tensor] = {}
        for term in self.terms:
            new = term(method, view)
            if shared := losses.keys() & new.keys():
                raise ValueError(f"two terms of the objective have a loss named {min(shared)!r}; rename one of them")
            losses |= new
        return losses

    def update(self, method: nn.Module) -> None:
        """Update the state of all terms that have one."""
        for term in self.terms:
            if isinstance(term, HasUpdate):
                term.update(method)

    def forget(self) -> None:
        """Drop what the terms have collected since the last update."""
        for term in self.terms:
            if isinstance(term, HasForget):
                term.forget()

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """Values to log from all terms."""
        return {
            name: value
            for term in self.terms
            if isinstance(term, HasStatistics)
            for name, value in term.statistics(method).items()
        }
