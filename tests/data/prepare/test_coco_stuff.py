"""COCO-Stuff-171 from a miniature of its original layout."""

from __future__ import annotations

import pytest

from ahs_seg.data.catalog import open_benchmark
from tests.support import miniature
from tests.support.miniature import prepare, stored


@pytest.mark.parametrize(("name", "split"), [("coco-stuff-171", "val2017"), ("coco-stuff-171-train", "train2017")])
def test_coco_stuff_171(tmp_path, name, split):
    # 10 -> 10, 11 is not used, 12 -> 11, 89 -> 79 (last thing), 90 not used, 91 -> 80 (first stuff), 181 -> 170
    maps = {"000000000139": [[0, 10, 11, 12], [89, 90, 91, 181], [255, 200, 182, 92]]}
    root = miniature.coco(tmp_path, split, maps)
    assert prepare(name, root).made == 1
    expected = [[0, 10, 255, 11], [79, 255, 80, 170], [255, 255, 255, 81]]
    assert stored(name, root) == {"000000000139": expected}
    words = open_benchmark(name, root).vocabulary.labels
    assert (words[0], words[79], words[80]) == ("person", "toothbrush", "banner")
