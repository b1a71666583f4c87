"""PASCAL-Context-459 from a miniature of its original layout."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from PIL import Image

from ahs_seg.data.catalog import find_spec, open_benchmark
from ahs_seg.data.prepare import PrepareError
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored


def test_pascal_context_459(tmp_path):
    maps = {
        "2008_000002": np.array([[1, 459, 2], [0, 434, 1]], np.uint16),
        "2008_000003": np.array([[5], [1]], np.uint16),
        "2099_000001": np.array([[1]], np.uint16),  # not of the validation list
    }
    root = miniature.context459(tmp_path, maps)
    summary = prepare("pascal-context-459", root)
    assert summary.made == 2
    assert len(summary.left_out) == 5102
    assert "no 2008_000007.mat in" in summary.left_out["2008_000007"]
    assert "left out: 5092 more, listed in the index" in str(summary)
    assert stored("pascal-context-459", root) == {
        "2008_000002": [[0, 458, 1], [459, 433, 0]],
        "2008_000003": [[4], [0]],
    }
    dataset = open_benchmark("pascal-context-459", root)
    assert dataset[0].labels.tolist() == [[0, 458, 1], [IGNORE, 433, 0]]
    with Image.open(find_spec("pascal-context-459").label_path(root, "2008_000002")) as image:
        assert image.mode == "I;16"


def test_pascal_context_459_reads_the_originals_wrapped_zero(tmp_path):
    root = miniature.context459(tmp_path, {"2008_000002": np.array([[1, 2]], np.uint16)})
    path = find_spec("pascal-context-459").label_path(root, "2008_000002")
    path.parent.mkdir(parents=True)
    Image.fromarray(np.array([[65535, 458]], np.uint16)).save(path)
    assert open_benchmark("pascal-context-459", root)[0].labels.tolist() == [[IGNORE, 458]]


@pytest.mark.parametrize(
    "values", [np.array([[460]], np.uint16), np.array([[0.5]]), np.zeros((1, 1, 2), np.uint8), np.array([[-1]])]
)
def test_pascal_context_459_maps_that_are_none(tmp_path, values):
    fine = np.array([[1]], np.uint16)
    root = miniature.context459(tmp_path, {"2008_000002": fine, "2008_000003": fine})
    scipy.io.savemat(root / "VOCdevkit/VOC2010/trainval/2008_000003.mat", {"LabelMap": values})
    (root / "VOCdevkit/VOC2010/trainval/2008_000007.mat").write_bytes(b"no MATLAB file at all")
    summary = prepare("pascal-context-459", root)
    assert summary.made == 1
    assert "not a map of values 0..459" in summary.faulty["2008_000003"]
    assert "no LabelMap can be read" in summary.faulty["2008_000007"]


def test_pascal_context_459_names_of_the_release_must_agree(tmp_path):
    root = miniature.context459(tmp_path, {"2008_000002": np.array([[1]], np.uint16)})
    labels = find_spec("pascal-context-459").words().labels
    lines = [f"{number}: {label}" for number, label in enumerate(labels, start=1)]
    (root / "VOCdevkit/VOC2010/labels.txt").write_text("\n".join(lines))
    assert prepare("pascal-context-459", root).made == 1
    lines[1], lines[2] = "2: accordion", "3: aeroplane"
    (root / "VOCdevkit/VOC2010/labels.txt").write_text("\n".join(lines))
    with pytest.raises(PrepareError, match="class 2 is 'accordion' there, expected is 'aeroplane'"):
        prepare("pascal-context-459", root)
