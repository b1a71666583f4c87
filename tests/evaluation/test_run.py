from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from ahs_seg.data.base import Sample, SampleError
from ahs_seg.evaluation import EvaluationError, EvaluationReport, evaluate, merge_reports
from ahs_seg.metrics import Measures
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary import Vocabulary


@dataclass
class Pictures:
    """Pictures whose red channel spells the labels; those in `broken` cannot be read."""

    count: int = 6
    broken: tuple[int, ...] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.parse("sky, road, car")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise SampleError(f"picture {index}: damaged")
        rng = np.random.default_rng(index)
        labels = rng.integers(0, 3, (5, 4 + index)).astype(np.int32)
        image = np.zeros((*labels.shape, 3), np.uint8)
        image[..., 0] = labels
        return Sample(image, labels, str(index))


def oracle(image: np.ndarray) -> np.ndarray:
    return image[..., 0].astype(np.int64)


def always_sky(image: np.ndarray) -> np.ndarray:
    return np.zeros(image.shape[:2], np.uint8)


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
