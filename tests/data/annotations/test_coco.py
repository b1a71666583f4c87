"""COCO files: ours come back to the pixel, those of pycocotools, supervision and panoptic are read."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import supervision
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ahs_seg.data.annotations.base import AnnotationError
from ahs_seg.data.annotations.config import CocoData
from ahs_seg.io.rle import runs_of
from ahs_seg.types import IGNORE
from tests.support.annotations import MAPS, exported, same_labels, save_image
from tests.support.datasets import notices

SIZE = (6, 8)
SQUARE = [1, 1, 5, 1, 5, 5, 1, 5]


def written(folder: Path, annotations: list[dict], *, images: list[dict] | None = None, **more: object) -> Path:
    """A COCO file with one image of 8x6 pixels and the classes cat (id 7) and dog (id 3)."""
    save_image(folder / "images/a.png", np.zeros((*SIZE, 3), np.uint8))
    document = {
        "images": images or [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 7, **one} for n, one in enumerate(annotations)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
        **more,
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return path


def test_what_our_exporter_writes_comes_back_to_the_pixel(tmp_path: Path) -> None:
    file, images = exported("coco", tmp_path)
    dataset = CocoData(file=file, images=images).open()
    assert same_labels(dataset, MAPS)
    dataset.check()


def test_polygons_are_united_and_the_smaller_annotation_lies_on_top(tmp_path: Path) -> None:
    small = {"segmentation": [[2, 2, 4, 2, 4, 4, 2, 4], [6, 0, 8, 0, 8, 1, 6, 1]], "area": 6, "category_id": 3}
    labels = CocoData(file=written(tmp_path, [small, {"segmentation": [SQUARE], "area": 16}])).open()[0].labels
    assert labels.tolist() == [
        [-1, -1, -1, -1, -1, -1, 1, 1],
        [-1, 0, 0, 0, 0, -1, -1, -1],
        [-1, 0, 1, 1, 0, -1, -1, -1],
        [-1, 0, 1, 1, 0, -1, -1, -1],
        [-1, 0, 0, 0, 0, -1, -1, -1],
        [-1] * 8,
    ]


def test_masks_of_pycocotools_are_read(tmp_path: Path) -> None:
    masks = [np.random.default_rng(seed).random(SIZE) < 0.4 for seed in range(2)]
    codes = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    plain = {"size": list(SIZE), "counts": runs_of(masks[1].T.ravel()).tolist()}  # as in annotations of crowds
    annotations = [
        {"segmentation": {**codes[0], "counts": codes[0]["counts"].decode()}, "area": 9},
        {"segmentation": plain, "area": 1, "iscrowd": 1, "category_id": 3},
    ]
    path = written(tmp_path, annotations)
    theirs = [COCO(path).annToMask(one) for one in COCO(path).dataset["annotations"]]
    assert [np.array_equal(one, mask) for one, mask in zip(theirs, masks, strict=True)] == [True, True]
    expected = np.where(masks[1], 1, np.where(masks[0], 0, IGNORE))
    assert np.array_equal(CocoData(file=path).open()[0].labels, expected)


def test_files_of_supervision_are_read(tmp_path: Path) -> None:
    labels = np.zeros((60, 80), np.int64)
    labels[10:40, 5:50], labels[20:55, 55:75] = 1, 2
    path = save_image(tmp_path / "images/a.png", np.zeros((60, 80, 3), np.uint8))
    masks = np.stack([labels == 1, labels == 2])
    boxes = supervision.mask_to_xyxy(masks)
    found = supervision.Detections(boxes, mask=masks, class_id=np.array([0, 1]))
    supervision.DetectionDataset(["cat", "dog"], [str(path)], {str(path): found}).as_coco(
        annotations_path=str(tmp_path / "labels.json")
    )
    dataset = CocoData(file=tmp_path / "labels.json", unlabelled="background").open()
    assert dataset.vocabulary.labels == ["cat", "dog", "background"]
    ours = dataset[0].labels
    wrong = ours != np.where(labels == 0, 2, labels - 1)
    assert wrong.mean() < 0.05  # it writes the centres of the outermost pixels: half a pixel is lost on each side
    assert not wrong[:, :4].any()
    assert not wrong[22:38, 8:48].any()


def test_segment_maps_of_panoptic_are_read(tmp_path: Path) -> None:
    segments = np.zeros((*SIZE, 3), np.uint8)
    segments[:, 4:] = (1, 2, 3)
    segments[0] = (9, 0, 0)
    segments[5] = (77, 0, 0)
    save_image(tmp_path / "panoptic/a.png", segments)
    info = [{"id": 1 + 2 * 256 + 3 * 65536, "category_id": 3}, {"id": 9, "category_id": 7}]
    path = written(tmp_path, [{"file_name": "a.png", "segments_info": info}])
    with pytest.raises(AnnotationError, match=r"panoptic .*: data\.segments=FOLDER"):
        CocoData(file=path).open()
    labels = CocoData(file=path, segments=tmp_path / "panoptic").open()[0].labels
    assert labels.tolist() == [[0] * 8, *[[-1] * 4 + [1] * 4] * 4, [-1] * 8]
    for file in (path, tmp_path / "panoptic/a.png", tmp_path / "images/a.png"):
        assert notices(CocoData(file=path, segments=tmp_path / "panoptic"), file)
    Image.fromarray(segments[:4]).save(tmp_path / "panoptic/a.png")
    with pytest.raises(AnnotationError, match=r"a\.png is 8x4, the image 8x6"):
        CocoData(file=path, segments=tmp_path / "panoptic").open().check()


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ({"category_id": 99, "segmentation": [SQUARE]}, "a.png: has an annotation of category 99, which the file does"),
        ({"segmentation": [[1, 2, 3]]}, "a.png in .*: polygon"),
        ({"segmentation": {"size": [9, 9], "counts": [81]}}, "a.png in .*: run-length code of size 9x9 in an image of"),
    ],
)
def test_a_bad_annotation_costs_its_image(tmp_path: Path, caplog, one: dict, message: str) -> None:
    images = [{"id": n, "file_name": name} for n, name in enumerate(("b.png", "a.png"))]
    save_image(tmp_path / "images/b.png", np.zeros((*SIZE, 3), np.uint8))
    path = written(tmp_path, [{"segmentation": [SQUARE], "image_id": 0}, one], images=images)
    with caplog.at_level(logging.WARNING):
        dataset = CocoData(file=path).open()
    assert dataset[len(dataset) - 1].name == "b.png"
    with pytest.raises(AnnotationError, match=message):
        dataset.check()
    if len(dataset) == 1:
        assert "1 of 2 images can be used" in caplog.text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"categories": "cat"}, "no COCO file; allowed is a mapping with the lists images, annotations, categories"),
        ({"categories": [{"id": 1}]}, r"category \{'id': 1\}; allowed are an id and a name"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "two categories have the id 1"),
        ({"annotations": [3]}, "annotation 3; allowed is a mapping with an image_id"),
        ({"images": [{"id": 1}] * 2}, "2 images have the id 1"),
        ({"images": [{"id": 0}] * 3}, "3 images have the id 0; give each one of its own"),
        ({"images": [{"id": ""}] * 2}, "2 images have the id ''"),
        ({"images": [{"id": [1]}]}, "allowed is a mapping with an id"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path: Path, more: dict, message: str) -> None:
    file = written(tmp_path, [])
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    with pytest.raises(AnnotationError, match=message):
        CocoData(file=file).open()


def test_boxes_alone_label_nothing(tmp_path: Path, caplog) -> None:
    file = written(tmp_path, [{"bbox": [1, 1, 2, 2]}, {"segmentation": [], "bbox": [1, 1, 2, 2]}])
    with caplog.at_level(logging.WARNING), pytest.raises(AnnotationError, match="1 without a label"):
        CocoData(file=file).open()
    assert "2 annotations have no segmentation" in caplog.text


def test_other_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("<xml>")
    for name in ("a.json", "missing.json"):
        with pytest.raises(AnnotationError, match=f"{name}: cannot be read"):
            CocoData(file=tmp_path / name).open()
