"""Selection of the execution engine: threads of this process, or workers of a Ray cluster."""

from __future__ import annotations

from ahs_seg.batch.jobs import ModelSource
from ahs_seg.batch.run import Engine
from ahs_seg.batch.sources import BatchError
from ahs_seg.io.devices import check_device_name
from ahs_seg.io.processes import check_processes


def engine_for(name: str, model: ModelSource, *, workers: int | None = None) -> Engine | None:
    """Create the engine `name`; None stands for "local", threads of this process.

    Raises:
        BatchError: the name is unknown, or `workers` is given for "local".
        DeviceError: the device of the model has no known name.
        MissingPackageError: Ray is not installed.
    """
    if name == "local":
        if workers is not None:
            raise BatchError("--workers applies only to a Ray cluster; give --engine ray, or leave it out.")
        return None
    if name != "ray":
        raise BatchError(f"no engine is called {name!r}; allowed are local and ray.")
    from ahs_seg.batch.ray import RayEngine, check_ray

    check_ray()
    check_device_name(model.device)
    return RayEngine(model, workers=1 if workers is None else check_processes(workers, "workers"))
