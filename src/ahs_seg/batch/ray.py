"""Batch segmentation on a Ray cluster (extra `scale`): each worker loads the model once and writes its own results.

Images, model and output folder must be reachable under the same paths from all workers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ahs_seg.batch.identity import run_identity
from ahs_seg.batch.jobs import BatchJob, Done, Failed, SourceOutcome, SourceTask
from ahs_seg.batch.sources import BatchError, InputSource
from ahs_seg.batch.tiled import TiledWorker
from ahs_seg.batch.worker import Worker
from ahs_seg.io.extras import require_extra
from ahs_seg.io.journal import differing_keys

if TYPE_CHECKING:
    from ahs_seg.batch.jobs import ModelSource

PORTION: Final = 16
"""Largest number of tasks sent to a worker at once."""
_DIFFERING: Final = "differing settings"


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Engine with `workers` processes on the cluster that Ray finds (RAY_ADDRESS), or on a local one that it starts.

    Every worker computes with as many CPUs as `model` has threads, one by default. If the cluster has enough GPUs, it
    gets one, unless the device of the model is "cpu".

    Raises:
        MissingPackageError: Ray is not installed.
        BatchError: the cluster has fewer CPUs than workers, or `model` is not as the segmenter of the run is set.
    """

    model: ModelSource
    workers: int = 1

    def __call__(self, job: BatchJob, tasks: Iterable[SourceTask]) -> Iterator[SourceOutcome]:
        """Segment all tasks and yield the outcome of each image as it finishes."""
        rows = [{"task": _encoded(task)} for task in tasks]
        if not rows:
            return
        gpus = self._start()
        from ray.data import from_items

        portion = min(PORTION, -(-len(rows) // self.workers))
        blocks = -(-len(rows) // portion)
        data = from_items(rows, override_num_blocks=blocks).map_batches(
            _RayWorker,
            fn_constructor_args=(self.model, replace(job, output=job.output.absolute())),
            batch_size=portion,
            batch_format="numpy",
            num_gpus=gpus,
            num_cpus=self.model.threads or 1,
            concurrency=min(self.workers, blocks),
        )
        for row in data.iter_rows():
            yield _decoded(row["outcome"])

    def _start(self) -> int:
        """Connect to or start a cluster; returns the number of GPUs per worker."""
        check_ray()
        import ray

        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        resources = ray.cluster_resources()
        if resources.get("CPU", 0) < self.workers * (self.model.threads or 1):
            threads = "" if self.model.threads is None else f" of {self.model.threads} threads"
            raise BatchError(
                f"{self.workers} workers{threads} on a cluster with {resources.get('CPU', 0):.0f} CPUs; "
                "use fewer workers, or add machines to the cluster."
            )
        return int(self.model.device != "cpu" and resources.get("GPU", 0) >= self.workers)


def check_ray() -> None:
    """Check that Ray Data is installed.

    Raises:
        MissingPackageError: it is not.
    """
    require_extra("scale", "the engine ray", otherwise="use the engine local")


class _RayWorker:
    """One Ray worker: loads the model and runs the same code as the local engine.

    If the model is set otherwise than the segmenter of the run, its outcomes name the settings that differ.
    """

    def __init__(self, model: ModelSource, job: BatchJob) -> None:
        segmenter = model.load()
        self._differing = differing_keys(job.identity, run_identity(segmenter, job)) if job.identity else []
        self._work = Worker(segmenter, job) if job.config.tiles is None else TiledWorker(segmenter, job)

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[str]]:
        if self._differing:
            return {"outcome": [json.dumps({_DIFFERING: self._differing})]}
        tasks = (_task(text) for text in rows["task"])
        return {"outcome": [json.dumps({type(one).__name__: asdict(one)}) for one in self._work(tasks)]}


def _encoded(task: SourceTask) -> str:
    path = str(task.source.path.absolute())
    return json.dumps([path, task.source.name, task.stamp, sorted(task.skip)])


def _task(text: str) -> SourceTask:
    path, name, (size, changed), skip = json.loads(text)
    return SourceTask(InputSource(Path(path), name), (size, changed), frozenset(skip))


def _decoded(text: str) -> SourceOutcome:
    ((kind, values),) = json.loads(text).items()
    if kind == _DIFFERING:
        raise BatchError(
            f"the workers load a model with other {' and other '.join(values)} than the segmenter here. Give "
            "segment_files the segmenter of ModelSource.load() unchanged, or save yours (save_pretrained) and give "
            "RayEngine its directory, or leave engine out."
        )
    return Failed(**values) if kind == "Failed" else Done.of(values)
