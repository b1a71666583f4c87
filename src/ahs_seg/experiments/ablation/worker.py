"""The process of one run: `python -m ahs_seg.experiments.ablation.worker DIRECTORY [MODULE:CLASS ...]`.

What to do stands in `job.json` in the directory; classes that are not of this package are named on the command line, as
the file must not decide what is imported. Standard input is a pipe that the starting process holds open; when it
closes, because that process ended in whatever way, this one ends as well. Nothing is lost by that: checkpoints and
journals are written whole or not at all.
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

JOB: Final = "job.json"
ABANDONED: Final = 75


class RunJob(Config):
    """A run to do, and the data to judge it by."""

    experiment: Experiment
    data: DataConfig


def import_names(classes: Sequence[type[Config]]) -> list[str]:
    """What another process imports the classes by.

    Raises:
        ConfigError: a class of the main script or of a function, which others cannot import.
    """
    for one in classes:
        if one.__module__ == "__main__" or "<" in one.__qualname__:
            raise ConfigError(
                f"{one.__name__} is defined in {one.__module__}.{one.__qualname__}, where the processes of a table "
                "cannot find it. Define it in a module, at the top level, and import it from there."
            )
    return [f"{one.__module__}:{one.__qualname__}" for one in classes]


def import_classes(names: Sequence[str]) -> list[type[Config]]:
    """The classes with these import names."""
    parts = [name.split(":") for name in names]
    return [attrgetter(name)(importlib.import_module(module)) for module, name in parts]


def main(directory: Path, names: Sequence[str] = ()) -> None:
    """Do the run of a directory."""
    custom = import_classes(names)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = RunJob.parse(
        json.loads((directory / JOB).read_text(encoding="utf-8")), source=str(directory / JOB), custom=custom
    )
    execute(job.experiment, job.data, directory, custom=custom)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not through the buffer, whose lock must be free when Python ends
        pass
    os._exit(ABANDONED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
