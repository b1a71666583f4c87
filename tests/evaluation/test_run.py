from __future__ import annotations

import json

import numpy as np
import pytest

from ahs_seg.data.base import Sample
from ahs_seg.evaluation import (
    EvaluationError,
    EvaluationReport,
    evaluate,
    evaluate_together,
    merge_reports,
    score_table,
)
from ahs_seg.evaluation.protocols import find_protocol
from ahs_seg.evaluation.run import AHEAD, read_ahead
from ahs_seg.metrics import Measures
from ahs_seg.types import IGNORE
from tests.support.datasets import Pictures, always_sky, oracle


def run(predict=always_sky, dataset: Pictures | None = None, **options) -> EvaluationReport:
    settings = {"method": "constant", "name": "pictures", "protocol": "whole image", "progress": False} | options
    return evaluate(predict, dataset or Pictures(), **settings)


def test_an_oracle_scores_one_and_a_constant_its_share():
    assert run(oracle).scores.miou == 1
    report = run()
    sky = sum(int((Pictures()[k].labels == 0).sum()) for k in range(6))
    total = sum(Pictures()[k].labels.size for k in range(6))
    assert report.scores.pacc == pytest.approx(sky / total)
    assert report.scores.iou[1:] == (0, 0)
    assert report.images == 6
    assert report.provenance.versions["torch"]


def test_seen_classes_are_scored_apart():
    scores = run(seen=["sky", "zebra"]).scores
    assert scores.seen == pytest.approx(scores.iou[0])
    assert scores.unseen == 0


def test_one_bad_image_is_reported_and_costs_only_itself():
    report = run(dataset=Pictures(broken=(2,)))
    assert report.images == 5
    assert [(failure.index, failure.problem) for failure in report.failures] == [(2, "picture 2: damaged")]
    assert report.counts == run(indices=[0, 1, 3, 4, 5]).counts


def test_no_usable_image_is_an_error():
    with pytest.raises(EvaluationError, match=r"none of 2 images could be evaluated\. The first problem: picture 0"):
        run(dataset=Pictures(2, broken=(0, 1)))


def test_errors_of_the_predictor_are_not_hidden():
    with pytest.raises(ValueError, match="prediction is 2x2"):
        run(lambda image: np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match=r"allowed are 0\.\.2"):
        run(lambda image: np.full(image.shape[:2], 7))


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
    report.save(tmp_path / "deep" / "report.json")
    assert EvaluationReport.load(tmp_path / "deep" / "report.json") == report
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


def test_progress_names_the_images_left_out(capsys):
    run(dataset=Pictures(3, broken=(1,)), progress=True)
    text = capsys.readouterr().err
    assert "left out: picture 1: damaged" in text
    assert "evaluating pictures 3/3:" in text


def test_ignored_pixels_do_not_count():
    class Ignoring(Pictures):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            return Sample(sample.image, np.full_like(sample.labels, IGNORE), sample.name)

    assert run(dataset=Ignoring()).scores.summary() == {}


def test_several_protocols_read_each_picture_once():
    reads = []

    class Watched(Pictures):
        def __getitem__(self, index: int):
            reads.append(index)
            return super().__getitem__(index)

    answers = [("good", lambda sample: oracle(sample.image)), ("bad", lambda sample: always_sky(sample.image))]
    good, bad = evaluate_together(answers, Watched(broken=(3,)), method="m", name="n", progress=False)
    assert reads == [0, 1, 2, 3, 4, 5]
    assert (good.scores.miou, good.protocol, bad.protocol) == (1, "good", "bad")
    assert bad.counts == run(dataset=Pictures(broken=(3,))).counts
    assert [failure.index for failure in bad.failures] == [3]


def test_reading_ahead_keeps_a_few_pictures_and_ends_with_the_reader():
    reads = []

    class Watched(Pictures):
        def __getitem__(self, index: int):
            reads.append(index)
            return super().__getitem__(index)

    samples = read_ahead(Watched(100), range(100))
    next(samples)
    samples.close()
    assert len(reads) <= 1 + AHEAD


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
