"""The process of one run: `python -m ahs_seg.experiments.ablation.worker DIRECTORY`, ended by whoever started it.

What to do stands in `job.json` in the directory. Standard input is a pipe that the starting process holds open; when it
closes, because that process ended in whatever way, this one ends as well. Nothing is lost by that: checkpoints and
journals are written whole or not at all.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Final

from ahs_seg.config import Config
from ahs_seg.data.config import DataConfig
from ahs_seg.experiments.ablation.runs import execute
from ahs_seg.experiments.experiment import Experiment

JOB: Final = "job.json"
ABANDONED: Final = 75


class RunJob(Config):
    """A run to do, and the data to judge it by."""

    experiment: Experiment
    data: DataConfig


def main(directory: Path) -> None:
    """Do the run of a directory."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = RunJob.parse(json.loads((directory / JOB).read_text(encoding="utf-8")), source=str(directory / JOB))
    execute(job.experiment, job.data, directory)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not through the buffer, whose lock must be free when Python ends
        pass
    os._exit(ABANDONED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
