from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.config import BenchmarkData, DataConfig, FolderData, WorldData, parse_data
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.evaluation import EvaluationError
from ahs_seg.experiments.suite import run_suite, suite_data
from tests.support.world_runs import OWN, SMALL, WORLD


def benchmark(root: Path) -> BenchmarkData:
    """Two drawn scenes in the place of PASCAL-VOC-20, as the original scripts leave it."""
    images, labels = root / "VOCdevkit/VOC2012/JPEGImages", root / "VOCdevkit/VOC2012/annotations_detectron2/val"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    scenes = WorldDataset(seed=3, count=2, names=20)
    for sample in (scenes[0], scenes[1]):
        Image.fromarray(sample.image).save(images / f"{sample.name}.jpg")
        Image.fromarray(sample.labels.astype(np.uint8)).save(labels / f"{sample.name}.png")
    return BenchmarkData(benchmark="pascal-voc-20", root=root)


def test_a_suite_runs_what_is_there_and_says_what_is_not(model, tmp_path):
    said: list[str] = []
    data: list[DataConfig] = [BenchmarkData(benchmark="ade20k-150", root=tmp_path), benchmark(tmp_path), WORLD]
    output = tmp_path / "out"
    result = run_suite(model, data, [OWN, SMALL], output, progress=False, say=said.append)
    assert [report.dataset for report in result.reports] == ["pascal-voc-20"] * 2 + [WORLD.title] * 2
    assert len(result.skipped) == len(said) == 1
    assert "ahs-seg data prepare ade20k-150" in said[0]
    written = json.loads((output / "results.json").read_text())
    assert [row["scores"]["miou"] for row in written["reports"]] == [report.scores.miou for report in result.reports]
    assert "ade20k-150" in written["skipped"][0]
    rows = list(csv.DictReader((output / "per_class" / "pascal-voc-20-small.csv").open()))
    assert [row["class"] for row in rows] == list(result.reports[1].labels)
    labelled = [row for row in rows if row["iou"]]
    assert np.mean([float(row["iou"]) for row in labelled]) == pytest.approx(result.reports[1].scores.miou)
    page = (output / "report.html").read_text()
    assert "Worst classes" in page
    assert "predicted as" in page
    assert "skipped: ADE20K-150" in (output / "results.md").read_text()


def test_a_benchmark_that_cannot_be_evaluated_leaves_the_others(model, tmp_path):
    data: list[DataConfig] = [benchmark(tmp_path), WORLD]
    for path in (tmp_path / "VOCdevkit/VOC2012/JPEGImages").iterdir():
        path.write_bytes(b"junk")
    result = run_suite(model, data, [OWN], tmp_path / "out", progress=False, say=lambda _: None)
    assert [report.dataset for report in result.reports] == [WORLD.title]
    assert "none of 2 images could be evaluated" in result.skipped[0]
    assert result.failed == result.skipped
    assert json.loads((tmp_path / "out/results.json").read_text())["skipped"] == result.skipped


def test_a_suite_without_any_data_is_an_error(model, tmp_path):
    with pytest.raises(EvaluationError, match="none of the datasets can be evaluated"):
        run_suite(model, suite_data("ovss", tmp_path), [OWN], tmp_path / "out", progress=False, say=lambda _: None)
    with pytest.raises(EvaluationError, match="known are ovss"):
        suite_data("all", tmp_path)


def test_data_is_named_on_the_command_line(tmp_path):
    assert isinstance(parse_data("world-20"), WorldData)
    assert isinstance(parse_data(str(tmp_path)), FolderData)
    assert parse_data("pc-60", root=tmp_path) == BenchmarkData(benchmark="pc-60", root=tmp_path)
