"""The hardest images of a class."""

from __future__ import annotations

import json

from ahs_seg.experiments.suite.worst import hardest


def test_the_hardest_image_of_a_class_is_the_one_with_most_missed_pixels(tmp_path):
    images = {0: [[1, 2, 5], [2, 2, 9]], 1: [[1, 2, 3], [1, 0, 4], [2, 1, 1]], 2: [[2, 0, 1], [0, 0, 7]]}
    lines = [json.dumps({"index": index, "pairs": pairs}) for index, pairs in images.items()]
    (tmp_path / "part.jsonl").write_text("\n".join(["{}", *lines]) + "\n")
    assert hardest(tmp_path, range(4)) == {1: 1, 2: 1}  # of equals the first
    assert hardest(tmp_path, [2, 3]) == {2: 1}
