"""ADE20K-847 from a miniature of its original layout."""

from __future__ import annotations

import numpy as np
import pytest

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.data.prepare import PrepareError
from ahs_seg.data.prepare.resize import shrink_bilinear, shrink_nearest
from ahs_seg.io.images import read_image
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored


def segmentation(objects: np.ndarray) -> np.ndarray:
    """RGB as the release writes it: R = 10 * (index // 256) plus noise below 10, G = index % 256, B the instance."""
    red = objects // 256 * 10 + np.arange(objects.size).reshape(objects.shape) % 10
    return np.stack([red, objects % 256, np.full_like(objects, 77)], -1).astype(np.uint8)


def test_ade20k_847_decodes_objects(tmp_path):
    # 2978 wall -> 0, 312 building -> 1, 3 is no class of the 847, 0 is nothing, 57 -> 29, 2131 road -> 4
    objects = np.array([[2978, 312, 0], [3, 57, 2131]])
    pixels = np.full((2, 3, 3), 100, np.uint8)
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": (pixels, segmentation(objects))})
    summary = prepare("ade20k-847", root)
    assert (summary.made, summary.faulty) == (1, {})
    assert stored("ade20k-847", root) == {"ADE_val_00000001": [[0, 1, 65535], [65535, 29, 4]]}
    dataset = open_benchmark("ade20k-847", root)
    assert dataset[0].labels.tolist() == [[0, 1, IGNORE], [IGNORE, 29, 4]]
    assert dataset[0].image.shape == (2, 3, 3)


def test_ade20k_847_is_shrunk_to_512(tmp_path):
    rows, columns, channels = np.mgrid[0:768, 0:1000, 0:3]
    pixels = ((rows // 8 + columns // 8 * 3) % 200 + channels).astype(np.uint8)
    objects = np.where(columns[..., 0] < 500, 2978, np.where(rows[..., 0] < 384, 312, 2420))
    root = miniature.ade847(tmp_path, {"ADE_val_00000007": (pixels, segmentation(objects))})
    prepare("ade20k-847", root)
    sample = open_benchmark("ade20k-847", root)[0]
    assert sample.image.shape == (512, 667, 3)  # round(1000 / 768 * 512) = 667
    # column c comes from floor(c * 1000 / 667): 333 -> 499, 334 -> 500; row r from floor(r * 1.5): 255 -> 382
    assert (sample.labels[:, :334] == 0).all()
    assert (sample.labels[:256, 334:] == 1).all()
    assert (sample.labels[256:, 334:] == 2).all()
    original = read_image(root / "ADE20K_2021_17_01/images/ADE/validation/urban/street/ADE_val_00000007.jpg")
    difference = np.abs(sample.image.astype(int) - shrink_bilinear(original, 512, 667))
    assert difference.mean() < 3  # saved again as JPEG
    raw = stored("ade20k-847", root)["ADE_val_00000007"]
    assert np.array_equal(raw, shrink_nearest(np.select([objects == 2978, objects == 312], [0, 1], 2), 512, 667))


def test_ade20k_847_reads_an_index_of_arrays(tmp_path):
    street = "ADE20K_2021_17_01/images/ADE/validation/urban/street"
    columns = {
        "filename": np.array(["ADE_val_00000001.jpg"], object),
        "folder": np.array([street], object),
    }
    one = (np.zeros((2, 2, 3), np.uint8), segmentation(np.full((2, 2), 312)))
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": one}, **columns)
    prepare("ade20k-847", root)
    assert stored("ade20k-847", root) == {"ADE_val_00000001": [[1, 1], [1, 1]]}


def test_ade20k_847_index_that_leads_elsewhere(tmp_path):
    one = (np.zeros((2, 2, 3), np.uint8), segmentation(np.full((2, 2), 312)))
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": one}, folder=["x", "../../etc"])
    with pytest.raises(PrepareError, match=r"'\.\./\.\./etc/ADE_val_00000001\.jpg' leads outside"):
        prepare("ade20k-847", root)
