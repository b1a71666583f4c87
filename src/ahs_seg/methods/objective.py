"""What training minimises: a sum of terms, each giving its losses by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.losses.segmentation import segmentation_loss
from ahs_seg.types import TrainingForward


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


class SegmentationObjective(nn.Module):
    """The loss of the cost family alone, see `segmentation_loss`."""

    def __init__(self, *, ignore_as_negative: bool = True) -> None:
        super().__init__()
        self.ignore_as_negative = ignore_as_negative

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:  # noqa: ARG002  # a `Term`
        """The loss, called `segmentation`."""
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
