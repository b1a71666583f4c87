"""Names of runs and of their evaluations: alike where the result is, apart where it is not."""

import json
from pathlib import Path

import pytest

from ahs_seg.data.base import Sample
from ahs_seg.data.config import FolderData
from ahs_seg.evaluation.run import ProtocolRun
from ahs_seg.experiments.ablation.runs import DATA, EVALUATIONS, FACTS, RunFacts, execute, read_result, run_name
from ahs_seg.experiments.ablation.suites import find_experiment, find_suite
from tests.support.ablation import HYPERSPHERICAL, PROVENANCE, SUITE, TINY_SUITE
from tests.support.label_folders import discs, label_folder
from tests.support.world_runs import saved_model


def test_the_baseline_of_all_three_is_one_run() -> None:
    names = {run_name(find_experiment(f"ablation/{suite}/world/baseline")) for suite in HYPERSPHERICAL}
    assert len(names) == 1
    alone = run_name(find_experiment("quickstart/h_clip", ["training.checkpoint_every=100", "training.keep_last=1"]))
    assert names == {alone}


def test_names_tell_which_checkpoint_becomes_the_model() -> None:
    def name(*overrides: str) -> str:
        return run_name(find_suite(TINY_SUITE).experiment("world", "attention", overrides))

    assert name("training.keep_best=1", "training.keep_last=3") == name()
    overrides = ("keep_best=0", "best_metric=pixel_accuracy", "evaluate_every=3", "checkpoint_every=4")
    assert len({name(), *(name(f"training.{override}") for override in overrides)}) == 5


def test_names_of_runs_tell_what_matters_apart() -> None:
    def name(*overrides: str) -> str:
        return run_name(find_suite(TINY_SUITE).experiment("world", "attention", overrides))

    assert name("training.workers=3", "training.devices=1", "training.log_every=7") == name()
    different = {name(), name("training.seed=1"), name("training.steps=9"), name("method.cost.keep=null")}
    assert len(different) == 4
    assert name("training.seed=1").startswith("cat_seg-seed1-")


def test_an_evaluation_is_that_of_its_data_and_not_of_its_title(tmp_path: Path) -> None:
    for place, values in (("a", (0, 1)), ("b", (1, 0))):
        label_folder(tmp_path / place / "photos", [discs(values)], "sky, grass")
    first, second = (FolderData(root=tmp_path / place / "photos", split="train") for place in ("a", "b"))
    assert first.title == second.title
    run = tmp_path / "run"
    saved_model(run / "model")
    facts = RunFacts(seed=0, seconds=1, parameters=1, trained=1, provenance=PROVENANCE)
    (run / FACTS).write_text(json.dumps(facts.model_dump(mode="json")))
    experiment = SUITE.experiment("world", "frozen")
    one = execute(experiment, first, run)
    assert read_result(run, second) is None
    other = execute(experiment, second, run)
    assert one.report.counts != other.report.counts
    assert (one.counts().counts != other.counts().counts).any()
    found = [read_result(run, data) for data in (first, second)]
    assert [result and result.report for result in found] == [one.report, other.report]
    (run / EVALUATIONS / "photos-train" / DATA).unlink()  # as earlier versions wrote it
    earlier = read_result(run, first)
    assert earlier is not None
    assert earlier.report == one.report


def test_images_that_failed_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label_folder(tmp_path / "photos", [discs((0, 1)), discs((1, 0))], "sky, grass")
    data, run = FolderData(root=tmp_path / "photos", split="train"), tmp_path / "run"
    saved_model(run / "model")
    facts = RunFacts(seed=0, seconds=1, parameters=1, trained=1, provenance=PROVENANCE)
    (run / FACTS).write_text(json.dumps(facts.model_dump(mode="json")))
    experiment = SUITE.experiment("world", "frozen")
    count, counted = ProtocolRun.count, list[int]()

    def failing(lane: ProtocolRun, index: int, sample: Sample) -> None:
        if index == 1:
            raise MemoryError
        count(lane, index, sample)

    def noted(lane: ProtocolRun, index: int, sample: Sample) -> None:
        counted.append(index)
        count(lane, index, sample)

    monkeypatch.setattr(ProtocolRun, "count", failing)
    lacking = execute(experiment, data, run)
    assert [failure.index for failure in lacking.report.failures] == [1]
    assert lacking.counts().labelled.tolist() == [True, False]
    assert not lacking.complete
    monkeypatch.setattr(ProtocolRun, "count", noted)
    whole = execute(experiment, data, run)
    assert counted == [1]
    assert whole.complete
    assert whole.counts().labelled.all()
    assert read_result(run, data) == whole
