import json
import subprocess
import sys
from pathlib import Path

import pytest

from ahs_seg.training import checkpoint
from ahs_seg.training.run import CHECKPOINTS
from tests.support.programs.killed import EVERY
from tests.support.training_runs import assert_same_run


@pytest.mark.slow  # `make test` kills runs in the campaign
@pytest.mark.parametrize(("steps", "kills"), [(20, 4), (400, 80)])
def test_a_run_killed_many_times_ends_as_if_it_had_not_been(tmp_path: Path, steps: int, kills: int) -> None:
    command = [sys.executable, "-m", "tests.support.programs.killed", str(tmp_path), str(steps), str(kills), "0"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["killed"] >= kills // 2
    assert report["faults"] == []
    assert max(report["lost"]) <= EVERY
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert_same_run(whole, cut, steps)
    assert (whole / "evaluation.csv").read_text() == (cut / "evaluation.csv").read_text()
    kept = [[path.name for path in checkpoint.find(each / CHECKPOINTS)] for each in (whole, cut)]
    assert kept[0] == kept[1]
    assert not list(tmp_path.rglob(".step-*"))
