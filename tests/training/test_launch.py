"""Two processes (gloo, CPU) train as one does: a step has the same images, so only the rounding of sums differs."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ahs_seg.training import checkpoint
from ahs_seg.training.launch import own_products
from ahs_seg.training.run import CHECKPOINTS
from tests.support.programs.processes import CASES
from tests.support.training import tiny_recipe
from tests.support.training_runs import assert_same_run, contents, gradients, table

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("launch")]  # what their fixture trains is trained once


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest one, as a part of the largest value."""
    return float((first - second).abs().max() / second.abs().max().clamp(min=1e-12))


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_weights_are_those_of_one_process(launches: Path, case: str) -> None:
    alone, together = gradients(launches / "1" / case), gradients(launches / "2" / case)
    assert alone.keys() == together.keys()
    assert len(alone) > 8
    assert {name: error for name in alone if (error := difference(together[name], alone[name])) > 3e-5} == {}
    weights = [contents(launches / devices / case, 4).tensors for devices in "12"]
    trained = [name for name in weights[0] if name.startswith("weight/") and weights[0][name].is_floating_point()]
    assert {name: error for name in trained if (error := difference(weights[1][name], weights[0][name])) > 1e-4} == {}


@pytest.mark.parametrize("case", CASES)
def test_logged_losses_are_means_over_processes(launches: Path, case: str) -> None:
    losses = [[float(row["loss"]) for row in table(launches / devices / case)] for devices in "12"]
    assert len(losses[0]) == 4
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_resume_bit_for_bit(launches: Path, case: str) -> None:
    assert_same_run(launches / "2" / case, launches / "resumed" / case, 4)
    assert checkpoint.best(launches / "2" / case / CHECKPOINTS).name == "step-00000004"


@pytest.mark.slow
def test_what_fsdp_divides_is_stored_whole_and_restored() -> None:
    """The state alone: Fabric offers FSDP on GPUs only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parents[2]
    common = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    command = [sys.executable, "-m", "tests.support.programs.sharded"]
    started = [
        subprocess.Popen(command, cwd=root, env={**common, "RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    reports = [json.loads(process.communicate(timeout=300)[0]) for process in started]
    for report in reports:
        assert report["missing"] == []
        assert report["tensors"] > 30
        assert report["error"] < 1e-5 < 1e-3 < report["largest"]
        assert report["restored"]
        assert report["shards"] > 0
        assert report["gathered"]
        assert report["works"]


def test_the_precision_of_products_is_that_of_the_run_only() -> None:
    before = torch.get_float32_matmul_precision()
    with own_products(tiny_recipe(matmul="high")):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(ZeroDivisionError), own_products(tiny_recipe(matmul="medium")):
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == before
