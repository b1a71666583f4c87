"""Codes in quotes were written by pycocotools 2.0.11 (mask.encode)."""

from __future__ import annotations

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahs_seg.io.rle import RleError, decode_rle, encode_rle
from tests.support.traced import allocating_at_most

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
    assert np.array_equal(decode_rle({"size": size, "counts": counts}, mask.shape), mask)
    assert np.array_equal(decode_rle({"size": size, "counts": counts.encode()}, mask.shape), mask)


def test_runs_go_down_the_columns_and_begin_with_zeros():
    mask = decode_rle({"size": [2, 3], "counts": [1, 4, 1]}, (2, 3))
    assert mask.astype(int).tolist() == [[0, 1, 1], [1, 1, 0]]
    assert decode_rle({"size": [2, 1], "counts": [0, 2]}, (2, 1)).all()


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_any_mask_comes_back(bits):
    edges = np.flatnonzero(np.diff([0, *bits, 1 - bits[-1]]))
    counts = np.diff([0, *edges]).tolist()
    mask = decode_rle({"size": [len(bits), 1], "counts": counts}, (len(bits), 1))
    assert mask[:, 0].astype(int).tolist() == bits


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"counts": "141"}, "size None"),
        ({"size": [2, -3], "counts": "141"}, r"size \[2, -3\]"),
        ({"size": [2, True], "counts": "141"}, r"size \[2, True\]"),
        ({"size": [2.0, 3], "counts": "141"}, r"size \[2\.0, 3\]"),
        ({"size": [2, 10**400], "counts": "141"}, r"size \[2, 1000"),
        ({"size": list(range(10**6)), "counts": "141"}, r"size \[0, 1, 2, 3, 4, 5, \.\.\.\]"),
        ({"size": b"\x02\x03", "counts": "141"}, "size b'"),
        ({"size": [3, 2], "counts": "141"}, "size 2x3 in an image of 3x2"),
        ({"size": [2, 3]}, "counts of type NoneType"),
        ({"size": [2, 3], "counts": {"1": 5}}, "counts of type dict"),
        ({"size": [2, 3], "counts": ["1", "5"]}, "a run of '1'"),
        ({"size": [2, 3], "counts": [1, 4, True]}, "a run of True; allowed are integers"),
        ({"size": [2, 3], "counts": [1, 4.0, 1]}, r"a run of 4\.0"),
        ({"size": [2, 3], "counts": [1, 4]}, "covers 5 pixels, its size 2x3 has 6"),
        ({"size": [2, 3], "counts": [7, -1]}, "a run of -1"),
        ({"size": [2, 3], "counts": [10**30]}, "a run of 1000000000000000"),
        ({"size": [2, 3], "counts": [2**61]}, rf"a run of {2**61}; allowed are 0\.\.6"),
        ({"size": [2, 3], "counts": [2**61] * 8 + [6]}, "a run of"),  # whose sum is 6 in 64 bits
        ({"size": [2, 3], "counts": "1 1"}, "outside its alphabet"),
        ({"size": [2, 3], "counts": "\ud800"}, "outside its alphabet"),
        ({"size": [2, 3], "counts": "ib"}, "last number is incomplete"),
        ({"size": [2, 3], "counts": "o" * 14 + "1"}, "more than 64 bits"),
        ({"size": [2, 3], "counts": "oooooooooo7" * 4}, "a run of"),  # differences that overflow when added
        ({"size": [2, 3], "counts": "@"}, "a run of -16|covers"),
        ([[0, 0, 1, 1]], "a mask is a list; allowed is a run-length code"),  # a polygon
        ("141", "a mask is a str"),
        (None, "a mask is a NoneType"),
    ],
)
def test_damage_is_named(code, message):
    with pytest.raises(RleError, match=message) as error:
        decode_rle(code, (2, 3))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("counts", ["141", [20_000_000_000], "0" * 100])
def test_a_stated_size_is_compared_before_memory_is_asked_for(counts):
    with allocating_at_most(2**20), pytest.raises(RleError, match="size 100000x200000 in an image of 300x200"):
        decode_rle({"size": [200_000, 100_000], "counts": counts}, (200, 300))


PIECES = st.sampled_from([0, 1, 2, 3, 6, -1, 2**63, True, 1.0, "1", None])


@settings(max_examples=60)
@given(st.one_of(st.lists(PIECES, max_size=5), st.text("0146<POo~", max_size=8)))
def test_any_counts_are_a_mask_of_the_size_or_an_error(counts):
    try:
        mask = decode_rle({"size": [2, 3], "counts": counts}, (2, 3))
    except RleError:
        return
    assert mask.shape == (2, 3)
    assert mask.dtype == bool


@pytest.mark.parametrize(("counts", "mask"), RECORDED)
def test_encoding_gives_the_recorded_texts(counts, mask):
    assert encode_rle(mask) == {"size": list(mask.shape), "counts": counts}


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_encoding_is_that_of_pycocotools(seed, height, width, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    theirs = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_rle(mask)["counts"] == theirs["counts"].decode()
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


def test_long_runs_are_encoded():
    mask = np.zeros((3000, 4000), bool)
    mask[2999, 3999] = True
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)
