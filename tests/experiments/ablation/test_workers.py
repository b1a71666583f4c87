"""Several runs at once: one that fails stops no other."""

from pathlib import Path

import pytest

from ahs_seg.experiments.ablation.run import AblationOptions, run_ablation
from tests.support.ablation import TINY_SUITE

pytestmark = pytest.mark.xdist_group("ablation")  # what its fixture trains is trained once


@pytest.mark.slow
def test_a_failing_run_stops_no_other(output: Path, tmp_path: Path) -> None:
    """In processes of their own. The failing row comes first in the queue, the baseline is there already."""
    (tmp_path / "runs").symlink_to(output / "runs")
    outcome = run_ablation(AblationOptions(str(TINY_SUITE), ("broken",), (0,)), tmp_path, jobs=2, progress=False)
    (failure,) = outcome.failures
    assert "Lower the learning rate" in failure.problem
    assert "broken, seed 0 failed" in (outcome.folder / "table.md").read_text()
    assert outcome.table.row("frozen").scores
    assert outcome.table.row("broken").runs == {}
