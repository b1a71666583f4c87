"""PASCAL-Context-59 from a miniature of its original layout."""

from __future__ import annotations

import json

import pytest

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.data.prepare import PrepareError
from tests.support import miniature
from tests.support.miniature import prepare, stored
from tests.support.traced import allocating_at_most


def test_pascal_context_59(tmp_path):
    size = {"height": 2, "width": 3}
    images = [
        {"image_id": 11, "file_name": "2008_000002.jpg", "phase": "val", **size},
        {"image_id": 12, "file_name": "2008_000003.jpg", "phase": "val", **size},
        {"image_id": 13, "file_name": "2008_000004.jpg", "phase": "train", **size},
    ]
    full, code = [2, 3], {"size": [2, 3], "counts": [0, 6]}
    annotations = [
        {"image_id": 11, "category_id": 2, "segmentation": code},  # aeroplane, 0, everywhere
        {"image_id": 13, "category_id": 9, "segmentation": code},
        {"image_id": 11, "category_id": 458, "segmentation": {"size": full, "counts": "141"}},  # over it: wood, 58
        {"image_id": 11, "category_id": 3, "segmentation": {"size": full, "counts": [0, 1, 5]}},  # not among the 59
        {"image_id": 11, "category_id": 0, "segmentation": {"size": full, "counts": [5, 1]}},  # background
    ]
    root = miniature.context59(tmp_path, images, annotations)
    summary = prepare("pascal-context-59", root)
    assert (summary.made, summary.faulty) == (2, {})
    assert stored("pascal-context-59", root) == {
        "2008_000002": [[255, 58, 58], [58, 58, 255]],
        "2008_000003": [[255, 255, 255], [255, 255, 255]],  # no annotations
    }
    words = open_benchmark("pascal-context-59", root).vocabulary.labels
    assert (words[0], words[58]) == ("aeroplane", "wood")


def test_pascal_context_59_damage(tmp_path):
    images = [{"image_id": k, "file_name": f"{k}.jpg", "phase": "val", "height": 2, "width": 3} for k in (1, 2)]
    annotations = [{"image_id": 2, "category_id": 2, "segmentation": {"size": [2, 2], "counts": [4]}}]
    root = miniature.context59(tmp_path, images, annotations)
    assert "size 2x2 in an image of 3x2" in prepare("pascal-context-59", root).faulty["2"]
    path = root / "VOCdevkit/VOC2010/trainval_merged.json"
    path.write_text(json.dumps({"images": images}))
    with pytest.raises(PrepareError, match="not the annotations of PASCAL-Context"):
        prepare("pascal-context-59", root)


def test_claims_of_an_annotation_cost_its_image_only_and_no_memory(tmp_path):
    size = {"height": 2, "width": 3}
    annotations = [
        ({"size": [200_000, 100_000], "counts": [20_000_000_000]}, 2, "size 100000x200000 in an image of 3x2"),
        ([[0, 0, 1, 0, 1, 1]], 2, "a mask is a list"),
        (None, 2, "a mask is a NoneType"),
        ({"size": [2, 3], "counts": [0, True, 5]}, 2, "a run of True"),
        *(({"size": [2, 3], "counts": [6]}, bad, "category_id") for bad in (-1, 70_000, True, "2", None, 1.5, [2])),
        ({"size": [2, 3], "counts": [0, 6]}, 2, ""),
    ]
    images = [{"image_id": k, "file_name": f"{k}.jpg", "phase": "val", **size} for k in range(len(annotations) + 1)]
    entries = [
        {"image_id": number, "category_id": category, "segmentation": code}
        for number, (code, category, _) in enumerate(annotations)
    ]
    images.append({"image_id": 99, "file_name": "99.jpg", "phase": "val", **size})
    root = miniature.context59(tmp_path, images, entries)
    path = root / "VOCdevkit/VOC2010/trainval_merged.json"
    values = json.loads(path.read_text())
    values["images"][-1] |= {"height": 10**9, "width": 10**9}
    path.write_text(json.dumps(values))
    with allocating_at_most(2**24):
        summary = prepare("pascal-context-59", root)
    assert summary.made == 2
    assert "the image is 3x2, its annotation 1000000000x1000000000" in summary.faulty["99"]
    for number, (_, _, message) in enumerate(annotations[:-1]):
        assert message in summary.faulty[str(number)]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"images": [], "annos_segmentation": 1e999}', "[]", '"\\ud800', "9" * 5000]
)
def test_other_json_is_a_message(tmp_path, text):
    images = [{"image_id": 1, "file_name": "1.jpg", "phase": "val", "height": 2, "width": 3}]
    root = miniature.context59(tmp_path, images, [])
    (root / "VOCdevkit/VOC2010/trainval_merged.json").write_text(text)
    with pytest.raises(PrepareError, match="not the annotations of PASCAL-Context"):
        prepare("pascal-context-59", root)
