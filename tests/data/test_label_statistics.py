from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.label_statistics import MAX_SAMPLES, StoredLabels, border_pixels, count_labels, spread
from ahs_seg.errors import SampleError
from tests.support.label_folders import discs, label_folder
from tests.support.training import TinyDataset


def test_counts_of_a_folder_worked_out_by_hand(tmp_path):
    maps = [np.array([[0, 0, 2], [255, 2, 7]], np.uint8), np.array([[0, 255, 255]] * 2, np.uint8)]
    dataset = label_folder(tmp_path, maps, "sky, road, car")
    assert isinstance(dataset, StoredLabels)
    found = count_labels(dataset, "streets")
    assert (found.images, found.read, found.complete) == (2, 2, True)
    assert found.pixels == (4, 0, 2)
    assert found.maps == (2, 0, 1)
    assert found.unlabelled == 5
    assert found.values == {0: 4, 2: 2, 7: 1, 255: 5}
    assert found.outside == {7: 1}
    assert found.faults == ()
    assert found.extent == "2 label maps read"


def test_samples_are_spread_over_a_large_folder(tmp_path):
    dataset = label_folder(tmp_path, [np.full((3, 3), index % 3, np.uint8) for index in range(9)], "a, b, c")
    found = count_labels(dataset, "x", limit=5)
    assert (found.read, found.complete, sum(found.pixels)) == (5, False, 45)
    assert found.extent == "5 of 9 label maps read"
    assert spread(9, 5) == [0, 2, 4, 6, 8]
    assert spread(3, 5) == [0, 1, 2]
    assert spread(100_000, 1000)[-1] == 99_999


def test_samples_made_one_by_one_are_read_in_a_small_number():
    found = count_labels(TinyDataset(length=100), "x")
    assert found.read == MAX_SAMPLES
    assert found.values == {}
    assert sum(found.pixels) + found.unlabelled == MAX_SAMPLES * 16 * 16
    assert found.unlabelled == MAX_SAMPLES * 2 * 16


def test_a_size_that_does_not_fit_is_a_fault_of_its_sample(tmp_path):
    dataset = label_folder(tmp_path, [np.zeros((4, 6), np.uint8)] * 2, "a, b")
    Image.new("L", (4, 6)).save(tmp_path / "annotations/train/001.png")
    (fault,) = count_labels(dataset, "x").faults
    assert "001.png: label map is 4x6, its image 6x4; sizes must agree. One is rotated" in fault


def test_samples_that_cannot_be_made_are_faults():
    class Odd(TinyDataset):
        def __getitem__(self, index):
            if index == 1:
                raise SampleError("picture 1: torn")
            return super().__getitem__(index)

    assert count_labels(Odd(length=3), "x").faults == ("picture 1: torn",)


def compressed(values: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("values", [(0, 6, 11), (0, 80, 255)])
def test_blurred_and_compressed_borders_are_told_from_drawn_ones(values):
    drawn = discs(values, side=128)
    half = Image.fromarray(drawn).resize((64, 64), Image.Resampling.BILINEAR)
    shares = [blurred / border for border, blurred in map(border_pixels, [drawn, compressed(drawn), np.asarray(half)])]
    assert shares[0] < 0.05
    assert shares[1] > 0.3
    assert shares[2] > 0.3


def test_border_pixels_of_a_step_and_of_a_slope():
    step = np.repeat([[0, 0, 0, 9, 9, 9]], 5, axis=0)
    slope = np.repeat([[0, 0, 3, 6, 9, 9]], 5, axis=0)
    assert border_pixels(step) == (6, 0)
    assert border_pixels(slope) == (12, 6)
    assert border_pixels(np.zeros((1, 1), np.uint8)) == (0, 0)
