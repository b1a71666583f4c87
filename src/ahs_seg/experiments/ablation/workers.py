"""Parallel execution of runs in worker processes, each on one thread or one GPU; failures do not stop other runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from ahs_seg.experiments.ablation.runs import steps_done
from ahs_seg.experiments.ablation.worker import RunJob
from ahs_seg.io.cores import available_cores
from ahs_seg.io.progress import QUIET_SECONDS, ProgressBar

OUTPUT: Final = "log.txt"
POLL_SECONDS: Final = 0.5
EVALUATION_SHARE: Final = 0.15
"""Assumed share of evaluation in the time of a run, for estimating the remaining time."""


@dataclass(frozen=True)
class Spec:
    """A run to execute: its title in messages, its directory and its job."""

    title: str
    directory: Path
    job: RunJob

    def progress(self) -> float:
        """Finished fraction of the run, in [0, 1], from its log."""
        return (1 - EVALUATION_SHARE) * steps_done(self.directory) / self.job.experiment.training.steps


@dataclass(frozen=True)
class RunFailure:
    """A failed run: its title, the last line of its output, and the path of the full log."""

    title: str
    problem: str
    log: Path

    def __str__(self) -> str:
        return f"{self.title} failed: {self.problem} (full log: {self.log})"


@dataclass
class _Working:
    spec: Spec
    process: subprocess.Popen[bytes]
    slot: int
    began: float = field(default_factory=time.monotonic)


def run_all(specs: Sequence[Spec], jobs: int, *, custom: Sequence[str] = (), progress: bool = True) -> list[RunFailure]:
    """Execute all runs, `jobs` in parallel, and return the failures; workers exit when this process ends.

    `custom` are the import names (`import_names`) of the caller's own config classes that runs may need.
    """
    waiting, working, failures = list(specs), list[_Working](), list[RunFailure]()
    bar = ProgressBar("runs", unit="runs", shown=progress, quiet_seconds=4 * QUIET_SECONDS)
    bar.start(len(specs))
    try:
        while waiting or working:
            while waiting and len(working) < jobs:
                slot = min(set(range(jobs)) - {one.slot for one in working})
                bar.skip(waiting[0].progress())
                working.append(_start(waiting.pop(0), slot, jobs, custom))
            time.sleep(POLL_SECONDS)
            for one in [one for one in working if one.process.poll() is not None]:
                working.remove(one)
                ended = len(specs) - len(waiting) - len(working)
                if one.process.returncode == 0:
                    bar.say(f"{one.spec.title}: done in {time.monotonic() - one.began:.0f} s ({ended}/{len(specs)})")
                else:
                    failures.append(_failure(one))
                    bar.say(str(failures[-1]))
            ended = len(specs) - len(waiting) - len(working)
            bar.update(ended + sum(one.spec.progress() for one in working), f"{ended} finished, {len(working)} running")
    finally:
        bar.stop()
        for one in working:
            one.process.terminate()
            one.process.wait()
    return failures


def _start(spec: Spec, slot: int, jobs: int, custom: Sequence[str]) -> _Working:
    spec.directory.mkdir(parents=True, exist_ok=True)
    recipe = spec.job.experiment.training
    if jobs >= available_cores() and recipe.workers:  # no core is left for loading; the data does not change
        recipe = recipe.replace(workers=0)
    experiment = spec.job.experiment.replace(training=recipe)
    job = spec.job.replace(experiment=experiment)
    with (spec.directory / OUTPUT).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # this Python, our module, our folder
            [sys.executable, "-m", "ahs_seg.experiments.ablation.worker", str(spec.directory), *custom],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(slot, jobs),
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and its log says why
        os.write(process.stdin.fileno(), json.dumps(job.model_dump(mode="json")).encode() + b"\n")
    return _Working(spec, process, slot)


def _environment(slot: int, jobs: int) -> dict[str, str]:
    """Environment of a worker: one thread if there are several, one GPU in turn, and the same import path."""
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if jobs > 1:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if count := torch.cuda.device_count():
        visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
        names = visible if len(visible) == count else [str(index) for index in range(count)]
        environment["CUDA_VISIBLE_DEVICES"] = names[slot % count]
    return environment


def _failure(one: _Working) -> RunFailure:
    log = one.spec.directory / OUTPUT
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    code = one.process.returncode
    problem = f"ended by signal {-code}" if code < 0 else lines[-1] if lines else f"status {code}"
    return RunFailure(one.spec.title, problem, log)
