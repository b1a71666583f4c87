"""The stages of a method that become graphs: tensors in, tensors out, the text embeddings an input of any length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import TypeAlias

from torch import Tensor, nn

from ahs_seg.errors import CheckpointError
from ahs_seg.methods.base import Method
from ahs_seg.types import ClassText, ImageFeatures, Output, Words

Run: TypeAlias = Callable[[str, Mapping[str, Tensor]], dict[str, Tensor]]
"""Runs the graph of this name: its inputs by name in, its outputs by name out."""


class ExportError(CheckpointError):
    """A method cannot be exported, or exported graphs do not fit the model or this machine."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One graph: the module that computes it, example inputs by name, and the names of its outputs.

    `dynamic` has the axes of inputs that may have any length, by input, with a name for each axis.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]


class StagedMethod(ABC):
    """A method in stages: which graphs it has, and its forward pass when a runtime computes them.

    Graphs take one image at a time. `fixed` are the settings of the method that are part of its graphs.
    """

    fixed: Mapping[str, int] = {}

    @abstractmethod
    def stages(self) -> dict[str, Stage]:
        """The graphs by name, in the order in which they run."""

    @abstractmethod
    def texts(self, text: ClassText) -> dict[str, Tensor]:
        """Prepared text embeddings as inputs of the graphs, by name."""

    @abstractmethod
    def encode(self, images: Tensor, run: Run) -> ImageFeatures:
        """`Method.encode`, the graphs computed by `run`."""

    @abstractmethod
    def decode(self, features: ImageFeatures, text: Words, run: Run) -> Output:
        """`Method.decode`, the graphs computed by `run`."""


@singledispatch
def staged(method: Method) -> StagedMethod:
    """The method in stages.

    Raises:
        ExportError: it is a method of your own, whose stages are not known.
    """
    raise ExportError(
        f"{type(method).__name__} has no stages for export; exported are the methods of this package. Register a "
        "StagedMethod of yours with ahs_seg.checkpoints.exporting.stages.staged.register."
    )
