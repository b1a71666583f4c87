"""Runs of one and of two processes, started once for all tests that compare them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import processes


@pytest.fixture(scope="package")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each case in one process (`1`), in two (`2`), and in two that resume after the second step (`resumed`)."""
    root = tmp_path_factory.mktemp("processes")
    processes.main(root / "1", 1)
    command = [sys.executable, "-m", "tests.support.programs.processes", str(root / "2"), "2", str(root / "resumed")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    clone = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return root
