"""PASCAL-VOC with 20 classes, with and without background, from a miniature of its original layout."""

from __future__ import annotations

import pytest
from PIL import Image

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.data.prepare import PrepareError
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


def test_the_list_of_images_leads_to_no_other_folder(tmp_path):
    """The list comes from an archive; a label map would be written to any place where it finds an image and a mask."""
    victim = tmp_path / "home" / "mine.png"
    miniature.write_image(victim.with_suffix(".jpg"), 2, 3)
    Image.new("L", (3, 2), 1).save(victim)
    before = victim.read_bytes()
    root = miniature.voc(tmp_path / "root", MASKS)
    names = root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    for name in (str(victim.with_suffix("")), "../JPEGImages/2007_000033", "a\x1b[2J", "2007_000033\n2007_000033"):
        names.write_text(f"2007_000042\n{name}\n")
        with pytest.raises(PrepareError, match=r"refused, the name .* in its list of images"):
            prepare("pascal-voc-20", root)
    assert victim.read_bytes() == before
    assert not (root / "VOCdevkit/VOC2012/annotations_detectron2").exists()
