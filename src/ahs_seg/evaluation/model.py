"""Evaluation of a model directory on a dataset, under one or several protocols, in one or several processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Int32, UInt8
from pydantic import Field

from ahs_seg.checkpoints.model_dir import ModelDescription, load_model, model_digest
from ahs_seg.config import Config, ConfigError
from ahs_seg.data.base import Sample
from ahs_seg.data.config import DataConfig
from ahs_seg.evaluation import EvaluationError, EvaluationReport, evaluate_together
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.evaluation.report import sum_of_reports, with_any_images
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.cores import MAX_THREADS, available_cores, use_threads
from ahs_seg.io.devices import find_device
from ahs_seg.io.folder_lock import locked
from ahs_seg.io.precision import Precision, check_precision, find_dtype
from ahs_seg.io.processes import check_processes, run_in_processes
from ahs_seg.methods import BaseMethodConfig, Method
from ahs_seg.metrics import Measures
from ahs_seg.segmenter import Segmenter
from ahs_seg.tuners import TunerConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary


class EvaluationJob(Config):
    """Settings of one evaluation as plain values that can be sent to other processes.

    `model` is a directory. With a folder as `journal`, a run that was killed resumes. The device "auto" distributes the
    processes over the available GPUs, or uses the CPU. `dtype` as in `Segmenter.from_pretrained`. All processes
    together have `threads` threads (None: as many as there are cores). Without `cache`, text embeddings are not kept on
    disk.
    """

    model: Path
    data: DataConfig
    protocols: tuple[Protocol, ...]
    measures: Measures = Measures()
    journal: Path | None = None
    device: str = "auto"
    dtype: Precision = "fp32"
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS)] | None = None
    cache: bool = True


def evaluate_model(
    job: EvaluationJob,
    *,
    processes: int = 1,
    progress: bool = True,
    methods: Sequence[type[BaseMethodConfig]] = (),
    tuners: Sequence[type[TunerConfig]] = (),
) -> list[EvaluationReport]:
    """Evaluate a model and return one report per protocol; scores do not depend on the number of processes.

    Each process takes every n-th image, reads it once and evaluates it under all protocols. `methods` and `tuners` are
    config classes of your own that the model directory may name.

    Raises:
        EvaluationError: no image could be evaluated under any protocol, or the journal belongs to another evaluation.
        ConfigError: a protocol has prompts that the method does not support.
        DeviceError: this machine has no such device.
        PrecisionError: the device cannot compute in this type.
        ProcessCountError: the number of processes is not allowed.
        FolderInUseError: another evaluation writes to the journal.
    """
    check_processes(processes, "processes")
    check_precision(find_dtype(job.dtype), find_device(job.device))
    with locked(job.journal) if job.journal is not None else nullcontext():
        return _evaluate(job, processes, methods, tuners, progress=progress)


def _evaluate(
    job: EvaluationJob,
    processes: int,
    methods: Sequence[type[BaseMethodConfig]],
    tuners: Sequence[type[TunerConfig]],
    *,
    progress: bool,
) -> list[EvaluationReport]:
    load = partial(load_model, job.model, methods=tuple(methods), tuners=tuple(tuners))
    share = partial(_share, job, load, processes, progress=progress)
    try:
        parts = [share(0)] if processes == 1 else run_in_processes(share, processes)
    except BrokenProcessPool:
        raise EvaluationError(
            f"one of {processes} processes was killed, most likely for memory; use fewer, and --journal to go on from "
            "the images that are done."
        ) from None
    return with_any_images([sum_of_reports(several) for several in zip(*parts, strict=True)])


def _share(job: EvaluationJob, load: Load, world: int, rank: int, *, progress: bool) -> list[EvaluationReport]:
    """Reports over the images of process `rank` of `world`."""
    use_threads(job.threads if world == 1 else max(1, (job.threads or available_cores()) // world))
    dataset = job.data.open()
    description, method = load()
    segmenters = segmenters_for(
        description,
        method,
        job.protocols,
        device=find_device(job.device, rank=rank),
        dtype=job.dtype,
        cache=TextCache.shared() if job.cache else TextCache(),
    )
    predictors = [_on_samples(segmenter.predictor(dataset.vocabulary)) for segmenter in segmenters]
    return evaluate_together(
        list(zip(job.protocols, predictors, strict=True)),
        dataset,
        method=description.method.name,
        name=job.data.title,
        seen=description.trained_on or None,
        indices=range(rank, len(dataset), world),
        measures=job.measures,
        journal=job.journal,
        identity=_identity(job, segmenters, dataset.vocabulary) if job.journal is not None else "",
        data=job.data,
        progress=progress and rank == 0,
    )


def _identity(job: EvaluationJob, segmenters: Sequence[Segmenter], vocabulary: Vocabulary) -> str:
    """What the counts of a journal belong to: the model, its type of numbers, and what it knows of the classes."""
    known = [segmenter.seen_identity(vocabulary) for segmenter in segmenters]
    seen = f" {hashlib.sha256(json.dumps(known).encode()).hexdigest()}" if any(known) else ""
    return model_digest(job.model) + ("" if job.dtype == "fp32" else f" {job.dtype}") + seen


Load = Callable[[], tuple[ModelDescription, Method]]
Predict = Callable[[UInt8[np.ndarray, "H W 3"]], Int32[np.ndarray, "H W"]]


def predictors_for(
    description: ModelDescription,
    method: Method,
    protocols: tuple[Protocol, ...],
    vocabulary: Vocabulary,
    *,
    device: torch.device | str = "cpu",
) -> list[Predict]:
    """One predictor per protocol, in fp32; texts that protocols share are encoded once. The method stays as it is."""
    segmenters = segmenters_for(description, method, protocols, device=device, own=False)
    return [one.predictor(vocabulary) for one in segmenters]


def segmenters_for(
    description: ModelDescription,
    method: Method,
    protocols: tuple[Protocol, ...],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str = "fp32",
    cache: TextCache | None = None,
    own: bool = True,
) -> list[Segmenter]:
    """One segmenter per protocol; they share text embeddings. `own`: the last one is the method itself, not a copy."""
    cache = cache or TextCache()
    method = method.to(find_device(device))
    segmenters = []
    for protocol in protocols:
        prompts = protocol.prompts or description.prompts
        needed = description.prompts.prompts_per_row
        if prompts.prompts_per_row != needed:
            raise ConfigError(
                f"protocol {protocol.name} gives {prompts.prompts_per_row} prompt(s) per class, the model takes "
                f"{needed}. Use the protocol `own`."
            )
        segmenter = Segmenter(
            method,
            prompts=prompts,
            inference=protocol.inference,
            cache=cache,
            description=description,
            own=own and protocol is protocols[-1],
        )
        segmenters.append(segmenter.to(dtype=dtype))
    return segmenters


def _on_samples(predict: Predict) -> Callable[[Sample], Int32[np.ndarray, "H W"]]:
    return lambda sample: predict(sample.image)
