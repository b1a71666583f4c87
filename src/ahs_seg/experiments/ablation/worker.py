"""Worker process of one run: `python -m ahs_seg.experiments.ablation.worker DIRECTORY [MODULE:CLASS ...]`.

`job.json` in the directory describes the run; classes from outside this package are named on the command line, since
the file must not decide what is imported. Standard input is a pipe held open by the parent process; when it closes
because the parent has ended, the worker exits too. No data is lost: checkpoints and journals are written atomically.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from ahs_seg.config import Config, ConfigError
from ahs_seg.data.config import DataConfig
from ahs_seg.documents import read_mapping
from ahs_seg.experiments.ablation.runs import execute
from ahs_seg.experiments.experiment import Experiment

JOB: Final = "job.json"
ABANDONED: Final = 75


class RunJob(Config):
    """A run to execute: the experiment and its evaluation data."""

    experiment: Experiment
    data: DataConfig


def import_names(classes: Sequence[type[Config]]) -> list[str]:
    """Import names (`module:class`) of the classes, for use in another process.

    Raises:
        ConfigError: a class is defined in the main script or in a function, where other processes cannot import it.
    """
    for one in classes:
        if one.__module__ == "__main__" or "<" in one.__qualname__:
            raise ConfigError(
                f"{one.__name__} is defined in {one.__module__}.{one.__qualname__}, where the processes of a table "
                "cannot find it. Define it in a module, at the top level, and import it from there."
            )
    return [f"{one.__module__}:{one.__qualname__}" for one in classes]


def import_classes(names: Sequence[str]) -> list[type[Config]]:
    """Import the classes with these import names."""
    parts = [name.split(":") for name in names]
    return [attrgetter(name)(importlib.import_module(module)) for module, name in parts]


def main(directory: Path, names: Sequence[str] = ()) -> None:
    """Execute the run described in a directory."""
    custom = import_classes(names)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = RunJob.parse(read_mapping(directory / JOB), source=str(directory / JOB), custom=custom)
    execute(job.experiment, job.data, directory, custom=custom)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: the lock of sys.stdin must be free at interpreter exit
        pass
    os._exit(ABANDONED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
