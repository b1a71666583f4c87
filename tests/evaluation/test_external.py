from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.annotations.config import CocoData
from ahs_seg.data.base import Sample
from ahs_seg.errors import SampleError
from ahs_seg.evaluation import EvaluationError, open_predictions, score_predictions
from ahs_seg.evaluation.external import read_categories
from ahs_seg.evaluation.prediction_names import AmbiguousPredictionsError
from ahs_seg.metrics import Measures
from ahs_seg.types import IGNORE
from tests.support.annotations import exported
from tests.support.datasets import Pictures
from tests.support.traced import allocating_at_most

MAP = np.array([[0, 1, 2], [2, 1, IGNORE]])


def save(path: Path, values: np.ndarray, kind: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(kind)).save(path)


def coded(labels: np.ndarray, name: str, *, shift: int = 0) -> list[dict[str, Any]]:
    """One entry per class, as detectron2 writes it, with COCO's code as plain numbers: columns, zeros first."""
    entries = []
    for value in np.unique(labels[labels >= 0]):
        flat = (labels == value).T.ravel().astype(int)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
        counts = np.diff(np.concatenate([[0], edges])).tolist()
        mask = {"size": list(labels.shape), "counts": counts}
        entries.append({"file_name": f"/data/{name}.jpg", "category_id": int(value) + shift, "segmentation": mask})
    return entries


@pytest.mark.parametrize(("kind", "none"), [(np.uint8, 255), (np.uint16, 65535)])
def test_label_maps_of_8_and_16_bits(tmp_path, kind, none):
    save(tmp_path / "a" / "x.png", np.where(MAP == IGNORE, none, MAP), kind)
    np.testing.assert_array_equal(open_predictions(tmp_path, 3).read("a/x", MAP.shape), MAP)


def test_label_maps_that_count_from_one(tmp_path):
    save(tmp_path / "x.png", MAP + 1)
    np.testing.assert_array_equal(open_predictions(tmp_path, 3, first=1, ignore=0).read("x", MAP.shape), MAP)
    with pytest.raises(SampleError, match=r"value 3; allowed are 0\.\.2 and 255"):
        open_predictions(tmp_path, 3).read("x", MAP.shape)


def test_255_is_a_class_where_there_are_that_many(tmp_path):
    save(tmp_path / "x.png", np.full((2, 2), 255))
    assert (open_predictions(tmp_path, 256).read("x", (2, 2)) == 255).all()


def test_masks_of_detectron2(tmp_path):
    path = tmp_path / "sem_seg_predictions.json"
    path.write_text(json.dumps(coded(MAP, "x")))
    np.testing.assert_array_equal(open_predictions(path, 3).read("x", MAP.shape), MAP)
    path.write_text(json.dumps(coded(MAP, "x", shift=90)))
    with pytest.raises(EvaluationError, match=r"entry 0 has category_id 90; allowed are 0\.\.2"):
        open_predictions(path, 3)
    (tmp_path / "c.json").write_text('{"90": 0, "91": 1, "92": 2}')
    categories = read_categories(tmp_path / "c.json")
    np.testing.assert_array_equal(open_predictions(path, 3, categories=categories).read("x", MAP.shape), MAP)


@pytest.mark.parametrize("options", [{"first": 1}, {"ignore": 0}, {"first": 1, "ignore": 0}])
def test_options_of_the_other_kind_are_refused(tmp_path, options):
    save(tmp_path / "x.png", MAP)
    (tmp_path / "p.json").write_text(json.dumps(coded(MAP, "x")))
    named = " and ".join(rf"--{name} \(`{name}`\)" for name in options)
    with pytest.raises(EvaluationError, match=rf"p\.json: a JSON file of masks, and {named} is for a folder of label"):
        open_predictions(tmp_path / "p.json", 3, **options)
    with pytest.raises(EvaluationError, match=r"a folder of label maps, and --categories .* is for a JSON file"):
        open_predictions(tmp_path, 3, categories={0: 0})


@pytest.mark.parametrize("below", ["", "root/images/"])
def test_masks_are_matched_by_path_first(tmp_path, below):
    """The same file name in two folders: each image has its own masks, whether or not the paths are longer."""
    maps = {"x/1": MAP, "y/1": (MAP + 1) % 3, "1": (MAP + 2) % 3}
    entries = [entry for name, labels in maps.items() for entry in coded(labels, f"{below}{name}")]
    (tmp_path / "p.json").write_text(json.dumps([{**one, "file_name": one["file_name"][6:]} for one in entries]))
    found = open_predictions(tmp_path / "p.json", 3)
    for name in ("x/1", "y/1"):
        np.testing.assert_array_equal(found.read(name, MAP.shape), maps[name])
    if not below:
        np.testing.assert_array_equal(found.read("1", MAP.shape), maps["1"])
        return
    with pytest.raises(AmbiguousPredictionsError, match=r"image 1 has predictions for .*; which are its own\? Give"):
        found.read("1", MAP.shape)


def test_masks_that_would_serve_two_images_end_the_scoring(tmp_path):
    class TwoFolders(Pictures):
        def __getitem__(self, index):
            sample = super().__getitem__(0)
            return Sample(sample.image, sample.labels, f"{'xy'[index]}/1")

    labels = Pictures()[0].labels
    (tmp_path / "p.json").write_text(json.dumps(coded(labels, "elsewhere/1")))
    with pytest.raises(AmbiguousPredictionsError, match=r"would serve the images x/1 and y/1\. Give the paths"):
        score_predictions(open_predictions(tmp_path / "p.json", 3), TwoFolders(2), method="m", name="n", progress=False)


def test_images_of_files_of_labels_have_their_predictions(tmp_path):
    """Such images are called `b.png`, with ending; the predictions of detectron2 have it, too, label maps have not."""
    file, images = exported("coco", tmp_path / "data")
    data, entries = CocoData(file=file, images=images).open(), []
    for sample in (data[0], data[1]):
        guess = np.where(sample.labels == IGNORE, 255, sample.labels)
        save(tmp_path / "maps" / Path(sample.name).with_suffix(".png"), guess)
        entries += [{**one, "file_name": sample.name} for one in coded(sample.labels, "x")]
    (tmp_path / "p.json").write_text(json.dumps(entries))
    for path in (tmp_path / "maps", tmp_path / "p.json"):
        report = score_predictions(
            open_predictions(path, len(data.vocabulary)), data, method="m", name="n", progress=False
        )
        assert (report.images, report.failures, report.scores.miou) == (2, (), 1)


def test_a_label_map_for_two_images_that_differ_in_their_endings_is_refused(tmp_path):
    save(tmp_path / "a.png", MAP)
    found = open_predictions(tmp_path, 3)
    found.read("a.jpg", MAP.shape)
    with pytest.raises(AmbiguousPredictionsError, match=r"for a would serve the images a\.jpg and a\.png\. Name each"):
        found.read("a.png", MAP.shape)
    save(tmp_path / "a.jpg.png", (MAP + 1) % 3)
    np.testing.assert_array_equal(open_predictions(tmp_path, 3).read("a.jpg", MAP.shape), (MAP + 1) % 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("{}", "not a list of masks"),
        ('[{"file_name": "x"}]', "entry 0 has no 'category_id'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        open_predictions(tmp_path / "p.json", 3)
    with pytest.raises(EvaluationError, match="no such folder or file"):
        open_predictions(tmp_path / "q.json", 3)
    with pytest.raises(EvaluationError, match="no label maps"):
        open_predictions(tmp_path, 3)


def test_both_forms_score_as_the_arrays_do(tmp_path):
    data, rng = Pictures(), np.random.default_rng(7)
    entries = []
    for index in range(len(data)):
        guess = rng.integers(0, 3, data[index].labels.shape)
        save(tmp_path / "maps" / f"{index}.png", guess)
        entries += coded(guess, str(index))
    (tmp_path / "p.json").write_text(json.dumps(entries))
    reports = [
        score_predictions(
            open_predictions(path, 3), data, method="m", name="n", measures=Measures(boundary=True), progress=False
        )
        for path in (tmp_path / "maps", tmp_path / "p.json")
    ]
    assert reports[0].counts == reports[1].counts
    assert reports[0].images == 6
    assert reports[0].protocol == "predictions made elsewhere"
    assert 0 < reports[0].scores.boundary_miou < 1


def test_missing_and_unfit_predictions_are_named_and_left_out(tmp_path):
    for index in range(5):
        save(tmp_path / f"{index}.png", np.zeros((5, 4 + index) if index else (2, 2)))
    report = score_predictions(open_predictions(tmp_path, 3), Pictures(), method="m", name="n", progress=False)
    assert report.images == 4
    first, second = (failure.problem for failure in report.failures)
    assert first == "prediction for 0 is 2x2, its labels are 4x5; sizes must agree."
    assert second.startswith("no prediction for 5")


def test_single_names_of_background_count_as_one_label(tmp_path):
    data = Pictures()
    for index in range(6):
        save(tmp_path / f"{index}.png", np.where(data[index].labels == 2, 17, data[index].labels))
    report = score_predictions(open_predictions(tmp_path, 20), data, method="m", name="n", background=2, progress=False)
    assert report.scores.miou == 1


def test_a_mask_is_compared_with_its_image_before_it_is_decoded(tmp_path):
    data, path = Pictures(), tmp_path / "p.json"
    codes = [
        {"size": [200_000, 100_000], "counts": [20_000_000_000]},
        {"size": list(data[1].labels.shape), "counts": [0, True]},
        [[0, 0, 4, 0, 4, 4]],
    ]
    entries = [{"file_name": f"{k}.jpg", "category_id": 0, "segmentation": code} for k, code in enumerate(codes)]
    entries += [entry for k in range(3, 6) for entry in coded(data[k].labels, str(k))]
    path.write_text(json.dumps(entries))
    with allocating_at_most(2**23):
        report = score_predictions(open_predictions(path, 3), data, method="m", name="n", progress=False)
    assert report.images == 3
    problems = [failure.problem for failure in report.failures]
    height, width = data[0].labels.shape
    assert problems[0] == f"prediction for 0: run-length code of size 100000x200000 in an image of {width}x{height}."
    assert "prediction for 1: run-length code with a run of True" in problems[1]
    assert "prediction for 2: a mask is a list" in problems[2]


def test_a_journal_belongs_to_its_predictions_and_to_how_they_are_read(tmp_path):
    data, entries = Pictures(), []
    for index in range(len(data)):
        save(tmp_path / "a" / f"{index}.png", data[index].labels)
        save(tmp_path / "b" / f"{index}.png", np.zeros_like(data[index].labels))
        entries += coded(data[index].labels, str(index))
    (tmp_path / "p.json").write_text(json.dumps(entries))

    def score(name, background=None, **how):
        predictions = open_predictions(tmp_path / name, 3, **how)
        return score_predictions(
            predictions,
            data,
            method="m",
            name="n",
            background=background,
            journal=tmp_path / "journals" / name,
            progress=False,
        )

    for name in ("a", "p.json"):
        assert score(name).counts == score(name).counts
    others: list[tuple[str, dict[str, Any], str]] = [
        ("a", {"first": 1}, "first: was 0, now 1"),
        ("a", {"ignore": 7}, "ignore: was null, now 7"),
        ("a", {"background": 2}, "background: was null, now 2"),
        ("p.json", {"categories": {0: 1, 1: 0, 2: 2}}, "categories: was null, now "),
    ]
    for name, how, told in others:
        with pytest.raises(EvaluationError, match=rf"holds another evaluation:\n  identity\.{told}"):
            score(name, **how)
    (tmp_path / "journals" / "a").rename(tmp_path / "journals" / "b")
    with pytest.raises(EvaluationError, match=r"identity\.path: was .*/a\", now .*/b\""):
        score("b")
    save(tmp_path / "b" / "1.png", np.ones_like(data[1].labels))
    assert score("a").scores.miou == 1
    save(tmp_path / "a" / "1.png", np.zeros((9, 9)))
    with pytest.raises(EvaluationError, match=r"identity\.files: was "):
        score("a")


def test_a_large_label_map_is_refused_by_its_header(tmp_path):
    Image.new("L", (6000, 5000)).save(tmp_path / "x.png")
    with (
        allocating_at_most(2**22),
        pytest.raises(SampleError, match="prediction for x is 6000x5000, its labels are 3x2"),
    ):
        open_predictions(tmp_path, 3).read("x", (2, 3))


@pytest.mark.parametrize("category", [True, None, 1.0, [1], {"a": 1}, "1", 10**400])
@pytest.mark.parametrize("categories", [None, {1: 1}])
def test_a_category_that_is_no_number_is_named(tmp_path, category, categories):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"file_name": "x", "category_id": category, "segmentation": {}}]))
    with pytest.raises(EvaluationError, match="entry 0 has category_id"):
        open_predictions(path, 3, categories=categories)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"1": 1e999}', "9" * 5000, '{"1": [1]}', "[]"])
def test_json_that_cannot_be_read_is_a_message(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(EvaluationError, match="not a JSON mapping"):
        read_categories(path)
    with (
        pytest.raises(EvaluationError, match=r"readable as JSON|not a list of masks|nested more than")
        if text != "[]"
        else nullcontext()
    ):
        open_predictions(path, 3)
