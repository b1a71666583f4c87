"""Evaluation reports: merged, stored, and listed side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ahs_seg.evaluation import (
    EvaluationError,
    EvaluationReport,
    merge_reports,
    score_table,
)
from ahs_seg.evaluation.protocols import find_protocol
from ahs_seg.metrics import Measures
from tests.support.datasets import Pictures, oracle
from tests.support.evaluations import run


@pytest.mark.parametrize("world", [1, 2, 3, 9])
def test_parts_of_several_processes_merge_into_the_whole(world):
    dataset = Pictures(broken=(4,))
    parts = [
        run(dataset=dataset, indices=range(rank, 6, world), measures=Measures(pairs=True)) for rank in range(world)
    ]
    merged = merge_reports(parts)
    whole = run(dataset=dataset, measures=Measures(pairs=True))
    assert (merged.counts, merged.images, merged.failures) == (whole.counts, whole.images, whole.failures)
    assert merged.seconds == max(part.seconds for part in parts)


def test_only_parts_of_one_evaluation_merge():
    with pytest.raises(EvaluationError, match="differ in protocol"):
        merge_reports([run(), run(protocol="windows")])
    with pytest.raises(EvaluationError, match="at least one"):
        merge_reports([])
    with pytest.raises(EvaluationError, match="none of 2 images"):
        merge_reports([run(dataset=Pictures(2, broken=(0, 1)), indices=[k]) for k in (0, 1)])


def test_the_report_travels_through_json(tmp_path):
    report = run(dataset=Pictures(broken=(1,)), seen=["sky"])
    report.save(str(tmp_path / "deep" / "report.json"))
    assert EvaluationReport.load(tmp_path / "deep" / "report.json") == report
    assert EvaluationReport.load(str(tmp_path / "deep" / "report.json")) == report
    stored = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert stored["scores"]["miou"] == report.scores.miou
    assert stored["iou"] == dict(zip(("sky", "road", "car"), report.scores.iou, strict=True))
    assert stored["protocol"] == "whole image"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"counts": 3}'])
def test_a_file_that_is_no_report(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(EvaluationError, match=r"report\.json"):
        EvaluationReport.load(path)


def test_the_headline_follows_the_protocol_and_every_row_names_it():
    labelled = run(protocol=find_protocol("catseg"), predict=lambda image: np.minimum(oracle(image), 1))
    predicted = run(protocol=find_protocol("scan"), predict=lambda image: np.minimum(oracle(image), 1))
    assert (labelled.headline, predicted.headline) == (labelled.scores.miou, labelled.scores.miou_with_predicted)
    table = score_table([labelled, predicted]).splitlines()
    assert [row.split(" | ")[1] for row in table[2:4]] == ["catseg", "scan"]
    assert f"- {find_protocol('scan').title}" in table
    assert labelled.settings == find_protocol("catseg").settings


def test_seen_and_unseen_are_listed():
    report = run(seen=["sky", "zebra"])
    assert report.seen_labels == (["sky"], ["road", "car"])
    assert report.to_dict()["unseen_labels"] == ["road", "car"]
