"""What training minimises: a sum of terms, each giving its losses by name."""

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
"""Bytes that the logits of some classes may take at the size of the labels."""


def segmentation_loss(
    logits: Float[Tensor, "b t h w"],
    labels: Int[Tensor, "b H W"],
    *,
    ignore_as_negative: bool = True,
    budget: int = BUDGET,
) -> Float[Tensor, ""]:
    """Binary cross-entropy of every class at every pixel, logits resized (bilinear) to the labels; a mean.

    `ignore_as_negative` is CAT-Seg's own behaviour: pixels without a label count as "no class". Without it they are
    left out and the mean runs over the others. As many classes as `budget` bytes allow are resized at a time, and again
    in the backward pass, so that memory does not grow with classes times pixels.
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
    """Sum over some classes. The target is one-hot and BCE(z, y) = softplus(z) - y z, so y z is one gathered value."""
    resized = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    rows = labels - first
    inside = (rows >= 0) & (rows < logits.shape[1]) & (labels != IGNORE)
    positive = resized.gather(1, torch.where(inside, rows, 0).unsqueeze(1)).squeeze(1)
    return F.softplus(resized).sum(1) - positive * inside


@dataclass(frozen=True, slots=True)
class TrainingClasses:
    """The classes a method is trained with.

    `categories` are their super-categories (None: not known). `embed` computes the text embeddings of all of them with
    the method's backbone as it is, unit vectors, one per class.
    """

    labels: tuple[str, ...]
    categories: tuple[str | None, ...]
    embed: Callable[[], Float[Tensor, "k d"]]


Term = Callable[[nn.Module, TrainingForward], Mapping[str, Tensor]]
"""Losses by name, already weighted, of a method and what its forward gave. An `nn.Module` may be one."""


@runtime_checkable
class Monitored(Protocol):
    """A term that has figures to watch besides its losses."""

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """Figures by name, such as `alpha/vision/3`."""


@runtime_checkable
class Updating(Protocol):
    """A term that keeps something between steps, such as prototypes."""

    def update(self, method: nn.Module) -> None:
        """Take in a step, in every process, after its weights were updated."""


class BoundTerm(nn.Module):
    """A term of one part of a method, which is looked up by its place (such as `parts.fusion`) at every call.

    The objective thus owns no part of the method.
    """

    def __init__(self, place: str, term: nn.Module) -> None:
        super().__init__()
        self.part = attrgetter(place)
        self.term = term

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The losses of the term."""
        losses: dict[str, Tensor] = self.term(self.part(method), view)
        return losses

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """The figures of the term, if it has any."""
        return self.term.statistics(self.part(method)) if isinstance(self.term, Monitored) else {}

    def update(self, method: nn.Module) -> None:
        """Let the term take in a step, if it keeps something."""
        if isinstance(self.term, Updating):
            self.term.update(self.part(method))


class SegmentationObjective(nn.Module):
    """The loss of the cost family alone, see `segmentation_loss`."""

    def __init__(self, *, ignore_as_negative: bool = True) -> None:
        super().__init__()
        self.ignore_as_negative = ignore_as_negative

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `segmentation`."""
        del method  # a loss of the logits alone
        loss = segmentation_loss(view.output.logits, view.labels, ignore_as_negative=self.ignore_as_negative)
        return {"segmentation": loss}


class SumObjective(nn.Module):
    """Several terms; no two may name a loss alike."""

    def __init__(self, terms: Sequence[nn.Module]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The losses of all terms."""
        losses: dict[str, Tensor] = {}
        for term in self.terms:
            new = term(method, view)
            if shared := losses.keys() & new.keys():
                raise ValueError(f"two terms of the objective name a loss {min(shared)!r}; rename one")
            losses |= new
        return losses

    def update(self, method: nn.Module) -> None:
        """Let the terms that keep something take in a step."""
        for term in self.terms:
            if isinstance(term, Updating):
                term.update(method)

    def statistics(self, method: nn.Module) -> dict[str, float]:
        """The figures of all terms that have any."""
        return {
            name: value
            for term in self.terms
            if isinstance(term, Monitored)
            for name, value in term.statistics(method).items()
        }
