"""Whole tables, tiny: runs once each, failures told, killed and continued."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.data.config import FolderData
from ahs_seg.data.folder import FolderError
from ahs_seg.experiments.ablation.run import AblationOptions, run_ablation
from ahs_seg.experiments.ablation.runs import FACTS, execute, read_result, run_name
from ahs_seg.training import checkpoint
from tests.support.ablation import DATA, SUITE, TINY_SUITE

pytestmark = pytest.mark.xdist_group("ablation")  # what its fixture trains is trained once


def table(output: Path, *rows: str, seeds: tuple[int, ...] = (0, 1), train: bool = False, **changes: Any):
    return run_ablation(
        AblationOptions(suite=str(TINY_SUITE), rows=rows, seeds=seeds, **changes), output, train=train, progress=False
    )


def test_a_table_and_its_files(output: Path) -> None:
    """Rows that are the same experiment are one run; what is done is not done again."""
    outcome = table(output, "attention", "same", train=True)
    assert outcome.failures == []
    attention, same = outcome.table.row("attention"), outcome.table.row("same")
    assert attention.runs == same.runs
    assert len(list((output / "runs").iterdir())) == 4
    assert attention.differences["miou"].by_seed.keys() == {0, 1}
    assert attention.added == 0
    assert attention.trained > outcome.table.row("frozen").trained > 0
    assert attention.seconds > 0
    for seed, name in attention.runs.items():
        report = read_result(output / "runs" / name, DATA).report
        assert attention.scores["miou"].by_seed[seed] == pytest.approx(report.scores.miou, abs=1e-6)
        assert attention.scores["harmonic"].by_seed[seed] == pytest.approx(report.scores.harmonic, abs=1e-6)
    names = {"ablation.json", "counts.npz", "table.md", "report.html", "differences.png", "learning_curves.png"}
    assert {path.name for path in outcome.folder.iterdir()} == names
    stored = json.loads((outcome.folder / "ablation.json").read_text())
    assert stored["rows"][1]["differences"]["unseen"]["verdict"] == "unresolved"
    assert stored["provenance"]["versions"]["torch"]
    assert (output / "runs" / attention.runs[0] / "report.html").exists()


def test_missing_runs_are_told(output: Path) -> None:
    outcome = table(output, "attention", seeds=(0, 1, 7))
    assert outcome.table.row("attention").missing == (7,)
    assert outcome.table.row("attention").differences["miou"].by_seed.keys() == {0, 1}
    assert "attention: no result for seed 7" in (outcome.folder / "table.md").read_text()
    assert table(output, seeds=(9,)).table is None


def test_a_cut_run_goes_on_to_the_same_result(output: Path, tmp_path: Path) -> None:
    experiment = SUITE.experiment("world", "attention")
    whole = read_result(output / "runs" / run_name(experiment), DATA)
    subprocess.run(["cp", "-r", whole.directory, tmp_path / "cut"], check=True)
    newest = checkpoint.last(tmp_path / "cut/checkpoints")
    assert newest is not None
    subprocess.run(["rm", "-r", newest, tmp_path / "cut" / FACTS, tmp_path / "cut/evaluations"], check=True)
    found = execute(experiment, DATA, tmp_path / "cut")
    assert found.report.counts == whole.report.counts


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        (AblationOptions(str(TINY_SUITE), ("x",)), "no row 'x'; there are frozen, attention"),
        (AblationOptions(str(TINY_SUITE), scale="vitb"), "no scale 'vitb'; there are world"),
        (AblationOptions("tinny"), "no such file, nor a packaged suite"),
        (AblationOptions(str(TINY_SUITE), seeds=()), "no seeds; give at least one"),
        (AblationOptions(str(TINY_SUITE), overrides=("training.devices=2",)), "has one device"),
        (AblationOptions(str(TINY_SUITE), overrides=("training.stepz=2",)), "training.stepz: unknown key"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(choice: AblationOptions, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        run_ablation(choice, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_evaluation_data_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    scale = SUITE.scales["world"].replace(test=FolderData(root=tmp_path / "nowhere"))
    suite.write_text(SUITE.replace(scales={"world": scale}).to_yaml())
    with pytest.raises(FolderError, match="nowhere: no such folder"):
        run_ablation(AblationOptions(str(suite), seeds=(0,)), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
