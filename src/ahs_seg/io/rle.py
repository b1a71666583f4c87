"""Run-length encoding of COCO: a mask as alternating lengths of runs of zeros and ones, in column-major order.

Implemented here, without pycocotools: both forms take a few lines of numpy, and pycocotools has to be compiled where
no wheel fits. Source of the format: pycocotools, common/maskApi.c (rleDecode, rleFrString).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from ahs_seg.errors import SampleError


class RleError(SampleError):
    """A run-length code cannot be decoded."""


def decode_rle(code: Mapping[str, object]) -> Bool[np.ndarray, "H W"]:
    """The mask of `{"size": [height, width], "counts": ...}`; counts are a list of integers or the compressed string.

    Raises:
        RleError: a key is missing or has the wrong type, the string is damaged, or the runs do not fill the size.
    """
    size, counts = code.get("size"), code.get("counts")
    sides = list(size) if isinstance(size, Sequence) else []
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 0 for side in sides):
        raise RleError(f"run-length code of size {size!r}; allowed is [height, width] in pixels.")
    height, width = sides
    if isinstance(counts, str | bytes):
        runs = _uncompressed(counts.encode() if isinstance(counts, str) else counts)
    elif isinstance(counts, Sequence) and all(isinstance(run, int) for run in counts):
        runs = np.array(counts, np.int64)
    else:
        raise RleError(
            f"run-length code with counts of type {type(counts).__name__}; allowed are a string or a list of integers."
        )
    if (runs < 0).any() or runs.sum() != height * width:
        raise RleError(f"run-length code covers {runs.sum()} pixels, its size {height}x{width} has {height * width}.")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


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
