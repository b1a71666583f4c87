"""PASCAL-Context-59 from a miniature of its original layout."""

from __future__ import annotations

import json

import pytest

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.data.prepare import PrepareError
from tests.support import miniature
from tests.support.miniature import prepare, stored


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
    assert "an annotation of 2x2 in an image of 3x2" in prepare("pascal-context-59", root).faulty["2"]
    path = root / "VOCdevkit/VOC2010/trainval_merged.json"
    path.write_text(json.dumps({"images": images}))
    with pytest.raises(PrepareError, match="not the annotations of PASCAL-Context"):
        prepare("pascal-context-59", root)
