"""Prototypes of two processes (gloo, CPU) are the same in both, and those of one process with the whole batch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ahs_seg.training.run import CHECKPOINTS
from tests.support.programs.prototypes import CASES

pytestmark = pytest.mark.xdist_group("launch_prototypes")  # what its fixture trains is trained once


def start(directory: Path, devices: int) -> None:
    command = [sys.executable, "-m", "tests.support.programs.prototypes", str(directory), str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cases in one process (`1`), in two (`2`), and in two that resume after the second step (`resumed`)."""
    root = tmp_path_factory.mktemp("prototypes")
    start(root / "1", 1)
    start(root / "2", 2)
    shutil.copytree(root / "2", root / "resumed")
    for case in CASES:
        shutil.rmtree(root / "resumed" / case / CHECKPOINTS / "step-00000004")
    start(root / "resumed", 2)
    return root


def state(runs: Path, devices: str, case: str, rank: int = 0) -> dict[str, Tensor]:
    return load_file(runs / devices / f"{case}-{rank}.safetensors")


@pytest.mark.parametrize("case", CASES)
def test_prototypes_are_the_same_in_both_processes_and_in_one(runs: Path, case: str) -> None:
    alone, first, second = state(runs, "1", case), state(runs, "2", case), state(runs, "2", case, rank=1)
    assert alone["prototypes.seen"].sum() >= 4  # the pictures show four of six colours
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert torch.equal(first["prototypes.seen"], alone["prototypes.seen"])
    torch.testing.assert_close(first["prototypes.prototypes"], alone["prototypes.prototypes"], rtol=1e-4, atol=1e-5)
    # Each process takes the mean over its own labelled features, so the losses differ a little where their numbers do.
    torch.testing.assert_close(first["prototypes.theta"], alone["prototypes.theta"], rtol=1e-3, atol=1e-4)
    assert first["prototypes.theta"].any()


@pytest.mark.parametrize("case", CASES)
def test_prototypes_resume_bit_for_bit(runs: Path, case: str) -> None:
    whole, resumed = state(runs, "2", case), state(runs, "resumed", case)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
