"""Several runs at once: one that fails stops no other, and each process gets the run that it was started for."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ahs_seg.experiments.ablation.run import AblationOptions, run_ablation
from ahs_seg.experiments.ablation.worker import RunJob
from ahs_seg.experiments.ablation.workers import OUTPUT, Spec, run_all
from tests.support.ablation import DATA, SUITE, TINY_SUITE

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


def test_tables_that_share_a_directory_start_their_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process reads its run only after its imports; here it just writes it into its log."""
    code = "import sys; line = sys.stdin.readline(); print(line, end='')"

    class Started(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__([command[0], "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", Started)
    experiment = SUITE.experiment("world", "attention", ["training.workers=0"])
    jobs = [RunJob(experiment=experiment, data=DATA.replace(count=count)) for count in (3, 4)]
    specs = [Spec(f"table {index}", tmp_path / "run", job) for index, job in enumerate(jobs)]
    assert run_all(specs, 2, progress=False) == []
    told = [RunJob.parse(json.loads(line)) for line in (tmp_path / "run" / OUTPUT).read_text().splitlines()]
    assert sorted(told, key=repr) == sorted(jobs, key=repr)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [OUTPUT]
