"""Where the work is done: here, or by the workers of a Ray cluster."""

from __future__ import annotations

from ahs_seg.batch.jobs import ModelSource
from ahs_seg.batch.run import Engine
from ahs_seg.batch.sources import BatchError


def engine_for(name: str, model: ModelSource, *, workers: int | None = None) -> Engine | None:
    """The engine of that name, None for threads of this process.

    Raises:
        BatchError: an unknown name, or workers for an engine without.
        MissingPackageError: Ray is not installed.
    """
    if name == "local":
        if workers is not None:
            raise BatchError("--workers are those of a Ray cluster; give --engine ray, or leave them out.")
        return None
    if name != "ray":
        raise BatchError(f"no engine is called {name!r}; allowed are local and ray.")
    from ahs_seg.batch.ray import RayEngine

    return RayEngine(model, workers=workers or 1)
