"""The process that does one run."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ahs_seg.experiments.ablation import worker
from ahs_seg.experiments.ablation.worker import RunJob
from ahs_seg.training import checkpoint
from tests.support.ablation import DATA, SUITE
from tests.support.forks import CAN_TRAIN, forked


@pytest.mark.skipif(not CAN_TRAIN, reason="a fork cannot train where a GPU is")
def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    experiment = SUITE.experiment("world", "attention", ["training.steps=100000"])
    theirs, ours = os.pipe()
    os.write(ours, json.dumps(RunJob(experiment=experiment, data=DATA).model_dump(mode="json")).encode() + b"\n")

    def work() -> None:
        os.close(ours)
        os.dup2(theirs, 0)
        sys.stdin = os.fdopen(0)
        worker.main(tmp_path)

    process = forked(work)
    os.close(theirs)
    deadline = time.monotonic() + 240
    while not checkpoint.find(tmp_path / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.2)
    os.close(ours)
    process.join(60)
    process.kill()
    assert process.exitcode == worker.ABANDONED
    assert checkpoint.newest(tmp_path / "checkpoints")[0] is not None


def test_a_worker_without_a_run_was_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(SystemExit) as ended:
        worker.main(tmp_path)
    assert ended.value.code == worker.ABANDONED


def test_its_package_does_not_import_it_first() -> None:
    """Otherwise `python -m` warns of a module that is there twice, at the head of every log."""
    script = "import sys, ahs_seg.experiments.ablation; print(*(name for name in sys.modules if 'ablation' in name))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["ahs_seg.experiments.ablation"]
