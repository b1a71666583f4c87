"""Run-length encoding of COCO: a mask as alternating lengths of runs of zeros and ones, in column-major order.

CVAT writes the same runs in row-major order (`decode_runs`).

Implemented here, without pycocotools: both forms take a few lines of numpy, and pycocotools has to be compiled where
no wheel fits. Source of the format: pycocotools, common/maskApi.c (rleDecode, rleFrString).
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int64

from ahs_seg.errors import SampleError


class RleError(SampleError):
    """A run-length code cannot be decoded."""


def decode_rle(code: object, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The mask of `{"size": [height, width], "counts": ...}`; counts are a list of integers or the compressed string.

    `size` is (height, width) of the image to which the mask belongs: the stated size is compared with it, and every run
    with the number of pixels, before memory is asked for.

    Raises:
        RleError: a key is missing or has the wrong type, the size is another one, the string is damaged, or the runs do
            not fill the size.
    """
    if not isinstance(code, Mapping):
        raise RleError(f"a mask is a {type(code).__name__}; allowed is a run-length code with size and counts.")
    stated, counts = code.get("size"), code.get("counts")
    if not isinstance(stated, list | tuple) or len(stated) != 2 or not all(_is_count(side) for side in stated):
        raise RleError(f"run-length code of size {shortened(stated)}; allowed is [height, width] in pixels.")
    height, width = size
    if tuple(stated) != size:
        raise RleError(f"run-length code of size {stated[1]}x{stated[0]} in an image of {width}x{height}.")
    return _filled(_runs(counts), size).reshape(width, height).T


def decode_runs(counts: object, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The mask of `size` (height, width) with these alternating runs of zeros and ones in row-major order, as in CVAT.

    Raises:
        RleError: the runs are no integers of 0 or above, or do not fill the size.
    """
    return _filled(_runs(counts), size).reshape(size)


def encode_rle(mask: Bool[np.ndarray, "H W"]) -> dict[str, object]:
    """The compressed run-length code of a mask, `{"size": [height, width], "counts": string}`.

    Source: pycocotools, common/maskApi.c (rleEncode, rleToString).
    """
    runs = runs_of(mask.T.ravel())
    differences = runs.copy()
    differences[3:] -= runs[1:-2]
    groups, text = differences, np.zeros((len(differences), 14), np.uint8)
    for place in range(text.shape[1]):  # 14 groups of 5 bits hold 64
        low = groups & 31
        groups = groups >> 5
        more = groups != np.where(low & 16, -1, 0)
        text[:, place] = 48 + low + 32 * more
        if not more.any():
            break
    ends = (text - 48) & 32 == 0
    used = np.arange(text.shape[1]) <= ends.argmax(1)[:, None]
    return {"size": list(mask.shape), "counts": text[used].tobytes().decode("ascii")}


def runs_of(values: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " r"]:
    """Lengths of alternating runs of zeros and ones; the first run is of zeros and may have length 0."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = [[0], [0], changes] if values.size and values[0] else [[0], changes]
    return np.diff(np.concatenate([*edges, [values.size]])).astype(np.int64)


def shortened(value: object) -> str:
    """What was given, in an error: at most 60 characters of its `repr`."""
    return reprlib.repr(value)[:60]


def _filled(runs: Int64[np.ndarray, " n"], size: tuple[int, int]) -> Bool[np.ndarray, " p"]:
    """The values of alternating runs; nothing is allocated unless they fill exactly the pixels of the size."""
    height, width = size
    pixels = height * width
    outside = (runs < 0) | (runs > pixels)
    if outside.any():
        raise RleError(f"run-length code with a run of {runs[outside][0]}; allowed are 0..{pixels}.")
    if runs.sum() != pixels:
        raise RleError(f"run-length code covers {runs.sum()} pixels, its size {height}x{width} has {pixels}.")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _runs(counts: object) -> Int64[np.ndarray, " n"]:
    if isinstance(counts, str | bytes):
        return _uncompressed(counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts)
    if not isinstance(counts, list | tuple):
        raise RleError(
            f"run-length code with counts of type {type(counts).__name__}; allowed are a string or a list of integers."
        )
    for run in counts:
        if not _is_count(run):
            raise RleError(f"run-length code with a run of {shortened(run)}; allowed are integers of 0 or above.")
    return np.array(counts, np.int64)


def _uncompressed(text: bytes) -> Int64[np.ndarray, " n"]:
    """Run lengths from the compressed string: groups of 5 bits, lowest first, as differences to the run two before."""
    digits = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(digits):
        return np.zeros(0, np.int64)
    if digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise RleError("damaged run-length code: characters outside its alphabet, or the last number is incomplete.")
    last = np.flatnonzero((digits & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 10:
        raise RleError("damaged run-length code: a number of more than 64 bits.")
    place = 5 * (np.arange(len(digits)) - np.repeat(first, last - first + 1))
    runs = np.add.reduceat((digits & 31) << place, first)
    negative = (digits[last] & 16) != 0
    runs[negative] -= np.int64(1) << (place[last][negative] + 5)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
