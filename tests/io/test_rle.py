"""Codes in quotes were written by pycocotools 2.0.11 (mask.encode)."""

from __future__ import annotations

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahs_seg.io.rle import RleError, decode_rle, encode_rle

ROWS, COLUMNS = np.mgrid[0:700, 0:20]
RECORDED = [
    ("141", np.array([[0, 1, 1], [1, 1, 0]], bool)),
    ("<", np.zeros((3, 4), bool)),
    ("0<", np.ones((3, 4), bool)),
    ("141M1021NOO0000020O0O20O00000O000140L03OO0O020N40OOM2020L2", np.random.default_rng(1).random((12, 9)) < 0.5),
    ("ib0S3ib000005K000000000000000000000000000000K", (ROWS > 600) | ((ROWS < 5) & (COLUMNS > 3))),
]


@pytest.mark.parametrize(("counts", "mask"), RECORDED)
def test_compressed_text(counts, mask):
    size = list(mask.shape)
    assert np.array_equal(decode_rle({"size": size, "counts": counts}), mask)
    assert np.array_equal(decode_rle({"size": size, "counts": counts.encode()}), mask)


def test_runs_go_down_the_columns_and_begin_with_zeros():
    mask = decode_rle({"size": [2, 3], "counts": [1, 4, 1]})
    assert mask.astype(int).tolist() == [[0, 1, 1], [1, 1, 0]]
    assert decode_rle({"size": [2, 1], "counts": [0, 2]}).all()


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_any_mask_comes_back(bits):
    edges = np.flatnonzero(np.diff([0, *bits, 1 - bits[-1]]))
    counts = np.diff([0, *edges]).tolist()
    mask = decode_rle({"size": [len(bits), 1], "counts": counts})
    assert mask[:, 0].astype(int).tolist() == bits


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"counts": "141"}, "size None"),
        ({"size": [2, -3], "counts": "141"}, r"size \[2, -3\]"),
        ({"size": [2, 3]}, "counts of type NoneType"),
        ({"size": [2, 3], "counts": ["1", "5"]}, "counts of type list"),
        ({"size": [2, 3], "counts": [1, 4]}, "covers 5 pixels, its size 2x3 has 6"),
        ({"size": [2, 3], "counts": [7, -1]}, "covers 6 pixels"),
        ({"size": [2, 3], "counts": "1 1"}, "outside its alphabet"),
        ({"size": [375, 500], "counts": "ib"}, "last number is incomplete"),
        ({"size": [2, 3], "counts": "o" * 14 + "1"}, "more than 64 bits"),
    ],
)
def test_damage_is_named(code, message):
    with pytest.raises(RleError, match=message):
        decode_rle(code)


@pytest.mark.parametrize(("counts", "mask"), RECORDED)
def test_encoding_gives_the_recorded_texts(counts, mask):
    assert encode_rle(mask) == {"size": list(mask.shape), "counts": counts}


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_encoding_is_that_of_pycocotools(seed, height, width, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    theirs = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_rle(mask)["counts"] == theirs["counts"].decode()
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


def test_long_runs_are_encoded():
    mask = np.zeros((3000, 4000), bool)
    mask[2999, 3999] = True
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)
