"""A table worked out by hand: scores by seed, differences to the baseline, cost, gaps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ahs_seg.data.config import WorldData
from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.evaluation.report import Failure
from ahs_seg.experiments.ablation.counts import RunCounts, save_counts
from ahs_seg.experiments.ablation.markdown import markdown
from ahs_seg.experiments.ablation.runs import RunFacts, RunResult
from ahs_seg.experiments.ablation.suites import Scale, Suite, SuitePart, SuiteRow
from ahs_seg.experiments.ablation.table import Table, build_table, score_curves
from ahs_seg.metrics import Measures, MetricAccumulator
from benchmarks.recount import faults, stored_runs
from tests.support.ablation import PROVENANCE

SUITE = Suite(
    title="By hand",
    baseline="plain",
    scales={"world": Scale(config="quickstart/cat_seg", test=WorldData(scenes="test"))},
    parts={"gate": SuitePart(title="the gate")},
    rows={"plain": SuiteRow(title="nothing added"), "gated": SuiteRow(parts=("gate",))},
)


@dataclass(frozen=True)
class CountedRun(RunResult):
    """A run of two images of ten pixels of "sky", of which `hits` are labelled rightly and the others "sea"."""

    hits: tuple[int, int] = (10, 10)
    images: int = 2
    evaluated: int = 2

    def counts(self) -> RunCounts:
        labelled = [[10, 0], [10, 0]]
        right = [[hit, 0] for hit in self.hits]
        predicted = [[hit, 10 - hit] for hit in self.hits]
        found = np.array([labelled, predicted, right], np.float32)[:, : self.images]
        found[:, self.evaluated :] = 0
        return RunCounts(found, np.array([True, False]))


def run(name: str, seed: int, hits: tuple[int, int], *, parameters: int = 100, seconds: float = 10.0) -> CountedRun:
    facts = RunFacts(seed=seed, seconds=seconds, parameters=parameters, trained=7, provenance=PROVENANCE)
    report = EvaluationReport(
        method="cat_seg",
        dataset="two images",
        protocol="own: whole image",
        labels=("sky", "sea"),
        images=2,
        counts=MetricAccumulator(2, Measures()).to_dict(),
        seconds=1.0,
        provenance=PROVENANCE,
    )
    directory = Path("runs") / f"{name}-{seed}"
    return CountedRun(directory, directory / "evaluations", facts, report, hits)


RESULTS = {
    "plain": {0: run("plain", 0, (5, 5)), 1: run("plain", 1, (6, 6))},
    "gated": {
        0: run("gated", 0, (9, 9), parameters=130, seconds=20.0),
        1: run("gated", 1, (8, 8), parameters=130, seconds=40.0),
    },
}


def build(results: dict[str, dict[int, CountedRun]], seeds: tuple[int, ...] = (0, 1)) -> Table:
    return build_table(SUITE, results, scale="world", data="two images", seeds=seeds, failures=["gated failed"])


def test_scores_and_differences_are_those_of_the_counts() -> None:
    """IoU of "sky" is hits/10 of all pixels; "sea" has no ground truth, so nothing defines unseen and harmonic."""
    table = build(RESULTS)
    assert table.metrics == ["miou", "seen"]
    plain, gated = table.row("plain").scores["miou"], table.row("gated").scores["miou"]
    assert plain.by_seed == pytest.approx({0: 0.5, 1: 0.6})
    assert gated.by_seed == pytest.approx({0: 0.9, 1: 0.8})
    assert (plain.mean, gated.mean) == pytest.approx((0.55, 0.85))
    difference = table.row("gated").differences["miou"]
    assert difference.by_seed == pytest.approx({0: 0.4, 1: 0.2})
    assert difference.difference == pytest.approx(0.3)
    assert table.row("plain").differences == {}
    assert [row.name for row in table.compared] == ["gated"]


def test_cost_is_told_beside_the_scores() -> None:
    table = build(RESULTS)
    plain, gated = table.row("plain"), table.row("gated")
    assert (plain.parameters, plain.added, plain.seconds) == (100, 0, 10)
    assert (gated.parameters, gated.added, gated.seconds, gated.trained) == (130, 30, 30, 7)
    assert gated.runs == {0: "gated-0", 1: "gated-1"}
    assert (plain.title, gated.title) == ("nothing added", "the gate")
    assert (table.protocol, table.images, table.commits) == ("own: whole image", 2, ("abc",))
    assert table.failures == ("gated failed",)


def test_seeds_that_are_not_done_are_missing_and_not_compared() -> None:
    table = build({"plain": RESULTS["plain"], "gated": {1: RESULTS["gated"][1]}}, seeds=(0, 1, 2))
    assert table.row("plain").missing == (2,)
    assert table.row("gated").missing == (0, 2)
    assert table.row("gated").differences["miou"].by_seed == pytest.approx({1: 0.2})
    empty = build({"plain": RESULTS["plain"], "gated": {}})
    row = empty.row("gated")
    assert (row.scores, row.differences, row.missing) == ({}, {}, (0, 1))
    assert (row.seconds, row.parameters, row.added, row.trained) == (None, None, None, None)


def test_all_runs_are_scored_on_the_same_draws_of_images() -> None:
    """So the difference of two runs that are alike on every image is the same in every draw."""
    shifted = {"plain": {0: run("plain", 0, (2, 6))}, "gated": {0: run("gated", 0, (4, 8))}}
    curves = score_curves(shifted)
    one, other = curves["plain"]["miou"][0], curves["gated"]["miou"][0]
    assert one[0] == pytest.approx(0.4)
    assert len(np.unique(one)) == 3, "twice the first image, both, twice the second"
    assert np.allclose(other - one, 0.2)


def with_failure(found: CountedRun, hits: tuple[int, int], problem: str = "image 1: not enough memory.") -> CountedRun:
    """The same run without a result of its second image."""
    report = found.report.replace(images=1, failures=(Failure(index=1, problem=problem),))
    return dataclasses.replace(found, hits=hits, report=report, evaluated=1)


def test_rows_are_compared_on_the_images_that_all_runs_have() -> None:
    """The second image, which the rows answer alike, would be a loss of the row that lacks it."""
    plain = {seed: run("plain", seed, (5, 10)) for seed in (0, 1)}
    gated = {0: run("gated", 0, (5, 10)), 1: with_failure(run("gated", 1, (5, 10)), (5, 0))}
    table = build({"plain": plain, "gated": gated})
    assert table.row("gated").differences["miou"].by_seed == pytest.approx({0: 0, 1: 0})
    assert table.row("plain").scores["miou"].by_seed == pytest.approx({0: 0.5, 1: 0.5})
    assert table.images == 1
    note = (
        "1 image left out of every row, since not all runs could evaluate them. the gate, seed 1: image 1: not enough"
    )
    assert table.failures[0] == "gated failed"
    assert table.failures[1].startswith(note)
    assert note in markdown(table)
    assert "1 images, protocol" in markdown(table)


def test_runs_of_different_data_are_no_table() -> None:
    fewer = dataclasses.replace(RESULTS["gated"][0], images=1)
    with pytest.raises(
        EvaluationError, match=r"different numbers of test images \(plain, seed 1: 2; gated, seed 0: 1\)"
    ):
        build({"plain": RESULTS["plain"], "gated": {0: fewer}})


def test_a_table_travels_through_its_file() -> None:
    table = build(RESULTS)
    assert Table.parse(table.model_dump(mode="json")) == table


def test_scores_and_intervals_can_be_computed_again_from_the_counts(tmp_path: Path) -> None:
    runs = ((row, seed, result) for row, found in RESULTS.items() for seed, result in found.items())
    save_counts(tmp_path / "counts.npz", runs)
    table = build(RESULTS)
    assert list(faults(table, tmp_path / "counts.npz")) == []
    stored = stored_runs(tmp_path / "counts.npz")
    assert np.array_equal(stored["gated"][0].counts().counts, RESULTS["gated"][0].counts().counts)
    first = RESULTS["gated"][0]
    other = {"plain": RESULTS["plain"], "gated": RESULTS["gated"] | {0: dataclasses.replace(first, hits=(1, 9))}}
    found = list(faults(build(other), tmp_path / "counts.npz"))
    assert "counts.npz: the gate, miou: other scores" in found
    assert "counts.npz: the gate, miou: other interval" in found
    fewer = list(faults(build({"plain": RESULTS["plain"], "gated": {}}), tmp_path / "counts.npz"))
    assert fewer == ["counts.npz has not the rows and seeds of its table"]
