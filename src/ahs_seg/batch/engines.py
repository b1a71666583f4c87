"""Where the work is done: here, or by the workers of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ahs_seg.batch.run import Engine
from ahs_seg.checkpoints.directory import read_description
from ahs_seg.checkpoints.known import find_model
from ahs_seg.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as every process can load it: what `Segmenter.from_pretrained` takes, and how it runs.

    The device "auto" is a GPU if there is one; `batch` is the number of views in one forward (None: the model's own).
    """

    source: str
    device: str = "auto"
    batch: int | None = None

    def load(self) -> Segmenter:
        """The segmenter."""
        directory = find_model(self.source)
        inference = read_description(directory).inference
        if self.batch is not None:
            inference = inference.model_copy(update={"batch": self.batch})
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return Segmenter.from_pretrained(directory, inference=inference, device=device)


def engine_for(name: str, model: ModelSource, *, workers: int | None = None) -> Engine | None:
    """The engine of that name, None for threads of this process.

    Raises:
        ValueError: an unknown name, workers for an engine without, or Ray is not installed.
    """
    if name == "local":
        if workers is not None:
            raise ValueError("--workers are those of a Ray cluster; give --engine ray, or leave them out.")
        return None
    if name != "ray":
        raise ValueError(f"no engine is called {name!r}; allowed are local and ray.")
    from ahs_seg.batch.cluster import RayEngine

    return RayEngine(model, workers=workers or 1)
