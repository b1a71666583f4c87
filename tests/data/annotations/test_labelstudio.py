"""Label Studio's JSON: ours comes back to the pixel, and what its SDK makes and converts is read."""

import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.converter.brush import mask2rle
from label_studio_sdk.label_interface.interface import LabelInterface

from ahs_seg.data.annotations.base import AnnotationError
from ahs_seg.data.annotations.config import LabelStudioData
from ahs_seg.types import IGNORE
from tests.support.annotations import MAPS, exported, same_labels, save_image
from tests.support.datasets import notices

SIZE = (6, 8)
POLYGON = {"points": [[25, 0], [50, 0], [50, 50], [25, 50]], "closed": True, "polygonlabels": ["cat"]}
MASK = np.random.default_rng(0).random(SIZE) < 0.5


def region(kind: str, value: dict, **more: Any) -> dict:
    size = {"original_height": SIZE[0], "original_width": SIZE[1], "image_rotation": 0}
    return {"id": "r1", "type": kind, "from_name": "tag", "to_name": "image", **size, "value": value, **more}


def brush(label: str, mask: np.ndarray = MASK, **more: Any) -> dict:
    value = {"format": "rle", "rle": mask2rle(np.where(mask, 255, 0).astype(np.uint8)), "brushlabels": [label]}
    return region("brushlabels", value, **more)


def written(folder: Path, *tasks: dict) -> Path:
    save_image(folder / "images/a.png", np.zeros((*SIZE, 3), np.uint8))
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def task(*regions: dict, image: str = "/data/upload/3/0f3a8b2c-a.png", **more: Any) -> dict:
    return {"id": 1, "data": {"text": "x", "image": image}, "annotations": [{"id": 2, "result": list(regions), **more}]}


def test_what_our_exporter_writes_comes_back_to_the_pixel(tmp_path: Path) -> None:
    file, images = exported("labelstudio", tmp_path)
    data = LabelStudioData(file=file, images=images, predictions=True, classes=("straße", "a <b> & 'c'", "sky"))
    assert notices(data, file)
    dataset = data.open()
    assert same_labels(dataset, MAPS)
    dataset.check()
    with pytest.raises(AnnotationError, match=r"holds no annotated image"):  # nobody has corrected them
        LabelStudioData(file=file, images=images).open()


def test_masks_of_the_converter_and_polygons_are_read_the_later_on_top(tmp_path: Path) -> None:
    regions = [brush("dog"), region("polygonlabels", POLYGON, id="r2"), region("choices", {"choices": ["x"]}, id="r3")]
    schema = LabelInterface(
        '<View><Image name="image" value="$image"/><BrushLabels name="tag" toName="image"><Label value="dog"/>'
        '</BrushLabels><PolygonLabels name="shape" toName="image"><Label value="cat"/></PolygonLabels></View>'
    )
    assert schema.validate_region({**regions[1], "from_name": "shape"})
    if tuple(map(int, version("label-studio-sdk").split("."))) >= (2, 0, 18):  # before, not even its own masks were
        assert schema.validate_region(regions[0])
    dataset = LabelStudioData(file=written(tmp_path, task(*regions))).open()
    assert dataset.vocabulary.labels == ["cat", "dog"]
    expected = np.where(MASK, 1, IGNORE)
    expected[:3, 2:4] = 0
    assert np.array_equal(dataset[0].labels, expected)


def test_labels_of_a_tool_of_their_own_belong_to_the_region_of_the_same_id(tmp_path: Path) -> None:
    plain = region("brush", {"format": "rle", "rle": brush("x")["value"]["rle"]})
    dataset = LabelStudioData(file=written(tmp_path, task(plain, region("labels", {"labels": ["cow"]})))).open()
    assert dataset.vocabulary.labels == ["cow"]
    assert np.array_equal(dataset[0].labels == 0, MASK)


def test_the_newest_annotation_that_was_not_cancelled_counts(tmp_path: Path) -> None:
    one = task(brush("dog"))
    one["annotations"] += [{"result": [brush("cat")]}, {"result": [brush("cow")], "was_cancelled": True}]
    one["predictions"] = [{"result": [brush("owl")]}]
    assert LabelStudioData(file=written(tmp_path, one), predictions=True).open().vocabulary.labels == ["cat"]


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=photos/a.png",
        "/data/upload/3/0f3a8b2c-a.png",
        "/data/upload/3/a.png",
        "s3://bucket/more/a.png",
        "https://example.com/x%20y/a.png?token=1",
        "a.png",
    ],
)
def test_images_are_found_by_their_name(tmp_path: Path, image: str) -> None:
    assert len(LabelStudioData(file=written(tmp_path, task(brush("cat"), image=image))).open()) == 1


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (task(brush("cat"), image="/data/local-files/?d=../images/a.png"), "is no relative path"),
        (task(brush("cat"), image="/data/upload/1/b.png"), "no such image below .*images"),
        (task(brush("cat"), image="text"), "is no relative path"),
        (task(brush("cat", original_width=7)), "b.*"),
        (task(brush("cat"), region("polygonlabels", POLYGON, original_width=80)), "its regions are of the sizes"),
        (task(brush("cat", image_rotation=90)), "was turned in Label Studio"),
        (task(brush("cat", MASK[:3])), "brush code of 96 values; an image of 8x6 has 192"),
        (task(region("polygonlabels", {**POLYGON, "points": [[1, 2]]})), "polygon"),
    ],
)
def test_a_bad_task_costs_its_image(tmp_path: Path, caplog, one: dict, message: str) -> None:
    save_image(tmp_path / "images/fine.png", np.zeros((*SIZE, 3), np.uint8))
    fine = task(brush("cat"), image="/data/upload/1/fine.png")
    with caplog.at_level(logging.WARNING):
        dataset = LabelStudioData(file=written(tmp_path, fine, one)).open()
    assert "fine.png" in {dataset[len(dataset) - 1].name}
    with pytest.raises(AnnotationError, match=message):
        dataset.check()


def test_tasks_that_nobody_annotated_are_left_out(tmp_path: Path, caplog) -> None:
    waiting = {"data": {"image": "b.png"}, "annotations": [], "predictions": [{"result": [brush("owl")]}]}
    with caplog.at_level(logging.WARNING):
        dataset = LabelStudioData(file=written(tmp_path, task(brush("cat")), waiting), unlabelled="rest").open()
    assert dataset.vocabulary.labels == ["cat", "rest"]
    assert "1 tasks without annotation are left out; data.predictions=true" in caplog.text


@pytest.mark.parametrize("content", ["{}", "[3]", '[{"image": "a.png", "tag": []}]', '[{"data": {}, "result": 3}]'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(AnnotationError, match="export as JSON, not as JSON-MIN"):
        LabelStudioData(file=path).open()
