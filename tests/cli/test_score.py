"""Scores of predictions that lie in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.cli.options import OptionError
from ahs_seg.data.config import parse_data
from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.io.overwrite import OverwriteError
from tests.support.command_line import output_of
from tests.support.label_folders import discs, label_folder

WORLD = ["--data", "world-20", "--count", "2"]


def test_predictions_are_scored(tmp_path: Path):
    dataset = parse_data("world-20", count=2).open()
    for sample in (dataset[0], dataset[1]):
        Image.fromarray(np.where(sample.labels < 0, 255, sample.labels).astype(np.uint8)).save(
            tmp_path / f"{sample.name}.png"
        )
    seen = ", ".join(dataset.vocabulary.labels[:3])
    output = output_of("score", str(tmp_path), *WORLD, "--seen", seen, "-o", str(tmp_path / "r.json"))
    assert EvaluationReport.load(tmp_path / "r.json").scores.miou == 1
    assert f"seen (3): {seen}" in output
    assert "unseen (17): " in output
    next(tmp_path.glob("*.png")).unlink()
    assert "no prediction for" in output_of("score", str(tmp_path), *WORLD, status=1)


def test_a_journal_of_other_predictions_is_refused(tmp_path: Path):
    dataset = parse_data("world-20", count=2).open()
    for sample in (dataset[0], dataset[1]):
        for folder, labels in (("a", np.where(sample.labels < 0, 255, sample.labels)), ("b", 0 * sample.labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(labels.astype(np.uint8)).save(tmp_path / folder / f"{sample.name}.png")
    journal = ["--journal", str(tmp_path / "journal")]
    first = output_of("score", str(tmp_path / "a"), *WORLD, *journal)
    assert "miou 100.0" in first.lower()
    with pytest.raises(EvaluationError, match=r"holds another evaluation:\n  identity\."):
        output_of("score", str(tmp_path / "b"), *WORLD, *journal)


def test_a_damaged_image_of_a_folder_is_left_out(tmp_path: Path):
    label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    (tmp_path / "images/train/001.png").write_bytes(b"junk")
    words = ["score", str(tmp_path / "annotations/train"), "--data", str(tmp_path), "--split", "train"]
    output = output_of(*words, "-o", str(tmp_path / "r.json"), status=1)
    assert "001.png" in output
    assert EvaluationReport.load(tmp_path / "r.json").images == 1


def test_labels_are_read_as_in_a_training(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    label_folder(tmp_path, [discs([1, 2]), discs([1, 2, 3])], "sky, road, car")
    words = ["score", str(tmp_path / "annotations/train"), "--first", "1", "--data", str(tmp_path), "--split", "train"]
    output_of(*words, status=1)
    assert "set data.offset=1" in caplog.text
    caplog.clear()
    output = output_of(*words, "--set", "data.offset=1", "-o", str(tmp_path / "r.json"))
    assert "miou 100.0" in output.lower()
    assert not caplog.messages
    assert EvaluationReport.load(tmp_path / "r.json").images == 2


def test_broader_classes_are_proposed(tmp_path: Path):
    label_folder(tmp_path / "data", [discs([0, 1])], "chair, swivel chair", split="val")
    words = ["score", "--data", str(tmp_path / "data"), "--propose-parents"]
    table = json.loads(output_of(*words))
    assert table == {"swivel chair": ["chair"]}
    file = tmp_path / "new" / "table.json"
    assert output_of(*words, "-o", file) == f"table of parent classes: {file}\n"
    assert json.loads(file.read_text()) == table
    with pytest.raises(OptionError, match="--first, --seen, --boundary: of no use without PREDICTIONS; name them"):
        output_of(*words, "--first", "1", "--seen", "sky", "--boundary")


def test_a_report_replaces_no_input(tmp_path: Path):
    (tmp_path / "p.json").write_text("[]")
    (tmp_path / "link.json").symlink_to("p.json")
    for name in ("p.json", "link.json"):
        with pytest.raises(OverwriteError, match=r"json: is the input .*p\.json, which would be replaced"):
            output_of("score", tmp_path / "p.json", *WORLD, "-o", tmp_path / name)
    (tmp_path / "names.txt").write_text("sky\nsand\n")
    with pytest.raises(OverwriteError, match=r"is the input .*names\.txt, which would be replaced"):
        output_of("score", tmp_path / "p.json", *WORLD, "--seen", tmp_path / "names.txt", "-o", tmp_path / "names.txt")
    assert (tmp_path / "p.json").read_text() == "[]"
