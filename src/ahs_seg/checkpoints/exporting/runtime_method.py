"""A method whose graphs run in another runtime; everything above it (windows, tiles, the page) is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.io.precision import PrecisionError
from ahs_seg.methods.base import Method
from ahs_seg.methods.wrapped import WrappedMethod
from ahs_seg.types import ImageFeatures, Output, Words

RunGraph: TypeAlias = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""Runs one graph: a `Session`, as a rule."""


class RuntimeMethod(WrappedMethod):
    """A method whose `encode` and `decode` run exported graphs; the text tower and all that is cheap stay in PyTorch.

    `fixed` are the settings that the graphs were exported with, `name` is that of the runtime, `weights` the type of
    the weights of the image tower in the graphs.
    """

    def __init__(
        self,
        method: Method,
        sessions: Mapping[str, RunGraph],
        fixed: Mapping[str, int],
        *,
        name: str = "",
        weights: str = "fp32",
    ) -> None:
        super().__init__(method)
        self.runtime = {"name": name, "weights": weights, "fixed": dict(fixed)}
        self.sessions, self.fixed = dict(sessions), dict(fixed)
        self._staged = staged(method)

    @property
    def compute_dtype(self) -> torch.dtype:
        """float32."""
        return torch.float32

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype) -> None:
        if dtype != torch.float32:
            raise PrecisionError(f"exported graphs compute in fp32; {dtype} needs runtime='torch'.")

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features, computed by the graphs."""
        return self._staged.encode(images, self._run)

    def decode(self, features: Any, text: Words) -> Output:
        """The output, computed by the graphs."""
        return self._staged.decode(features, text, self._run)

    def for_inference(self, options: Mapping[str, Any] | None = None) -> RuntimeMethod:
        """The same graphs, around a copy of the method with the given options.

        Raises:
            ExportError: the graphs were exported with other options.
        """
        found = RuntimeMethod(self.method.for_inference(options), self.sessions, self.fixed)
        found.runtime = self.runtime
        return found._checked()

    def become_inference(self, options: Mapping[str, Any] | None = None) -> RuntimeMethod:
        """`for_inference` without the copy.

        Raises:
            ExportError: as `for_inference`.
        """
        self.method.become_inference(options)
        self._staged = staged(self.method)
        return self._checked()

    def optimize(self, *, pack_all: bool = False, compile: bool = False) -> None:  # noqa: A002  # as in PyTorch
        """Graphs are as they were exported: nothing is left to optimise.

        Raises:
            ExportError: `compile`, which is for PyTorch.
        """
        del pack_all
        if compile:
            raise ExportError("exported graphs cannot be compiled; leave compile out, or use runtime='torch'.")

    def _checked(self) -> RuntimeMethod:
        """The method itself, if its options are those of the graphs."""
        for name, value in self._staged.fixed.items():
            if self.fixed.get(name) != value:
                raise ExportError(
                    f"{name}={value} is asked for, but the graphs were exported with {name}={self.fixed.get(name)}. "
                    "Export the model again with this setting, or use runtime='torch'."
                )
        self.eval()
        return self

    def state_dict(self, *words: Any, **options: Any) -> Any:
        """The weights of the method, as `save_model` writes them."""
        return self.method.state_dict(*words, **options)

    def _run(self, name: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.sessions[name](inputs)
