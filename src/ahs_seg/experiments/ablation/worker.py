"""Worker process of one run: `python -m ahs_seg.experiments.ablation.worker DIRECTORY [MODULE:CLASS ...]`.

Standard input is a pipe held open by the parent process. Its only line is the run as JSON; when it closes because the
parent has ended, the worker exits too. No data is lost: checkpoints and journals are written atomically. Classes from
outside this package are named on the command line.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from ahs_seg.config import Config, ConfigError
from ahs_seg.data.config import DataConfig
from ahs_seg.experiments.ablation.runs import execute
from ahs_seg.experiments.experiment import Experiment

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
    """Execute the run that the parent process describes, in a directory."""
    custom = import_classes(names)
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(ABANDONED)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = RunJob.parse(json.loads(line), source="standard input", custom=custom)
    execute(job.experiment, job.data, directory, custom=custom)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: the lock of sys.stdin must be free at interpreter exit
        pass
    os._exit(ABANDONED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
