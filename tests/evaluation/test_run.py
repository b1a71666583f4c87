from __future__ import annotations

import numpy as np
import pytest

from ahs_seg.data.base import Sample
from ahs_seg.errors import SampleError
from ahs_seg.evaluation import (
    EvaluationError,
    evaluate_together,
    score_table,
)
from ahs_seg.types import IGNORE
from tests.support.datasets import Pictures, always_sky, oracle
from tests.support.evaluations import run


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


def test_any_error_of_one_image_costs_only_that_image():
    class Odd(Pictures):
        def __getitem__(self, index: int) -> Sample:
            if index == 1:
                raise RuntimeError("the decoder gave up")
            return super().__getitem__(index)

    def predict(image):
        if image.shape[1] == 4 + 3:
            raise MemoryError
        return oracle(image)

    report = run(predict, dataset=Odd())
    assert report.images == 4
    assert report.scores.miou == 1
    problems = {failure.index: failure.problem for failure in report.failures}
    assert problems[1] == "image 1: RuntimeError: the decoder gave up"
    assert "not enough memory" in problems[3]


def test_a_full_disk_ends_an_evaluation():
    def full(image):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(full)


def test_no_usable_image_is_an_error():
    with pytest.raises(EvaluationError, match=r"none of 2 images could be evaluated\. The first problem: picture 0"):
        run(dataset=Pictures(2, broken=(0, 1)))


def test_errors_of_the_predictor_are_not_hidden():
    with pytest.raises(ValueError, match="prediction is 2x2"):
        run(lambda image: np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match=r"allowed are 0\.\.2"):
        run(lambda image: np.full(image.shape[:2], 7))


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


def test_several_protocols_read_each_image_once():
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


def test_a_protocol_under_which_every_image_fails_leaves_the_reports_of_the_others():
    def fails(sample):
        raise SampleError(f"{sample.name}: no")

    answers = [("bad", fails), ("good", lambda sample: oracle(sample.image))]
    bad, good = evaluate_together(answers, Pictures(2), method="m", name="n", progress=False)
    assert (bad.images, len(bad.failures), good.images, good.failures) == (0, 2, 2, ())
    assert "left out" in str(bad)
    assert bad.to_dict()["scores"]["classes_labelled"] == 0
    assert score_table([bad, good]).count("| n |") == 2
