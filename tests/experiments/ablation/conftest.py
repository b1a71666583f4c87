"""A table whose truth is known."""

from pathlib import Path

import pytest

from ahs_seg.experiments.ablation.runs import execute, run_name
from tests.support.ablation import DATA, EFFECTS, SUITE, table


@pytest.fixture(scope="module")
def found():
    return table(EFFECTS)


@pytest.fixture(scope="package")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of two rows and two seeds, trained in this process."""
    folder = tmp_path_factory.mktemp("ablation")
    for row in ("frozen", "attention"):
        for seed in (0, 1):
            experiment = SUITE.experiment("world", row, [f"training.seed={seed}"])
            execute(experiment, DATA, folder / "runs" / run_name(experiment))
    return folder
