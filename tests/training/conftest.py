"""Runs of one and of two processes, started once for all tests that compare them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ahs_seg.training.run import CHECKPOINTS
from tests.support.programs import processes, prototypes


def start(directory: Path, devices: int) -> None:
    command = [sys.executable, "-m", "tests.support.programs.processes", str(directory), str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="package")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each case in one process (`1`), in two (`2`), and in two that resume after the second step (`resumed`)."""
    root = tmp_path_factory.mktemp("processes")
    processes.main(root / "1", 1)
    start(root / "2", 2)
    shutil.copytree(root / "2", root / "resumed")
    for case in (*processes.CASES, *prototypes.CASES):
        for step in (3, 4):
            shutil.rmtree(root / "resumed" / case / CHECKPOINTS / f"step-{step:08d}", ignore_errors=True)
    start(root / "resumed", 2)
    return root
