"""PASCAL-VOC with 20 classes, with and without background, from a miniature of its original layout."""

from __future__ import annotations

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored

MASKS = {"2007_000033": [[0, 1, 20], [255, 15, 0]], "2007_000042": [[0, 255], [255, 0]]}


def test_pascal_voc_20(tmp_path):
    root = miniature.voc(tmp_path, MASKS)
    summary = prepare("pascal-voc-20", root)
    assert summary.made == 1
    assert summary.left_out == {"2007_000042": "no pixel of it is labelled, as in the original"}
    assert stored("pascal-voc-20", root) == {"2007_000033": [[255, 0, 19], [255, 14, 255]]}
    assert len(open_benchmark("pascal-voc-20", root)) == 1


def test_pascal_voc_20b(tmp_path):
    root = miniature.voc(tmp_path, MASKS)
    assert prepare("pascal-voc-20b", root).made == 2
    assert stored("pascal-voc-20b", root) == {
        "2007_000033": [[20, 0, 19], [255, 14, 20]],
        "2007_000042": [[20, 255], [255, 20]],
    }
    dataset = open_benchmark("pascal-voc-20b", root)
    assert dataset.vocabulary.labels[18:] == ["train", "tvmonitor", "background"]
    assert dataset[0].labels.tolist() == [[20, 0, 19], [IGNORE, 14, 20]]
