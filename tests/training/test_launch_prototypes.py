"""Prototypes of two processes (gloo, CPU) are the same in both, and those of one process with the whole batch."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.support.programs.prototypes import CASES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("launch")]  # what their fixture trains is trained once


def state(launches: Path, devices: str, case: str, rank: int = 0) -> dict[str, Tensor]:
    return load_file(launches / devices / f"{case}-{rank}.safetensors")


@pytest.mark.parametrize("case", CASES)
def test_prototypes_are_the_same_in_both_processes_and_in_one(launches: Path, case: str) -> None:
    alone, first, second = state(launches, "1", case), state(launches, "2", case), state(launches, "2", case, rank=1)
    assert alone["prototypes.seen"].sum() >= 4  # the images show four of six colours
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert torch.equal(first["prototypes.seen"], alone["prototypes.seen"])
    torch.testing.assert_close(first["prototypes.prototypes"], alone["prototypes.prototypes"], rtol=1e-4, atol=1e-5)
    # Each process takes the mean over its own labelled features, so the losses differ a little where their numbers do.
    torch.testing.assert_close(first["prototypes.theta"], alone["prototypes.theta"], rtol=1e-3, atol=1e-4)
    assert first["prototypes.theta"].any()


@pytest.mark.parametrize("case", CASES)
def test_prototypes_resume_bit_for_bit(launches: Path, case: str) -> None:
    whole, resumed = state(launches, "2", case), state(launches, "resumed", case)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
