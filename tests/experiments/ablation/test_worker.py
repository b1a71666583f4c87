"""The process that does one run."""

import json
import subprocess
import sys
import time
from pathlib import Path

from ahs_seg.experiments.ablation.worker import JOB, RunJob
from ahs_seg.training import checkpoint
from tests.support.ablation import DATA, SUITE


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    experiment = SUITE.experiment("world", "attention", ["training.steps=100000"])
    (tmp_path / JOB).write_text(json.dumps(RunJob(experiment=experiment, data=DATA).model_dump(mode="json")))
    command = [sys.executable, "-m", "ahs_seg.experiments.ablation.worker", str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not checkpoint.find(tmp_path / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.2)
    process.stdin.close()
    assert process.wait(60) == 75
    assert checkpoint.newest(tmp_path / "checkpoints")[0] is not None
