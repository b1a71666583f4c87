"""Run-length encoding of Label Studio's brush tool, and the addresses that it gives to files of its machine.

Sources: https://labelstud.io/tags/brushlabels, and for the encoding rle-pack (https://github.com/thi-ng/umbrella),
which Label Studio calls: the number of values in 32 bits, the word size in 5 bits, four run-length sizes in 4 bits each
(all minus one), then runs: a 1 bit, two bits that select a size, the length minus one, and the value; after a 0 bit as
many values as the length says. A mask is four channels per pixel, each 0 or 255; the last one, opacity, counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, UInt8

from ahs_seg.io.rle import RleError, runs_of

LOCAL_FILES: Final = "/data/local-files/?d="
"""URL prefix under which Label Studio serves the files below `LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`."""

_CHANNELS: Final = 4
_SIZES: Final = (3, 4, 8, 16)
_WORD: Final = 8
_HEAD: Final = 32 + 5 + 4 * 4
_OPAQUE: Final = 128
"""Least opacity of a pixel of the mask."""


def encode_brush(mask: Bool[np.ndarray, "H W"]) -> list[int]:
    """Mask as run-length encoded bytes in the format of Label Studio's brush tool."""
    bits = [f"{mask.size * _CHANNELS:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    longest = 1 << _SIZES[-1]
    for index, run in enumerate(runs_of(mask.ravel()).tolist()):
        left = run * _CHANNELS
        while left:
            length = min(left, longest)
            choice = next(place for place, size in enumerate(_SIZES) if length <= 1 << size)
            bits.append(f"1{choice:02b}{length - 1:0{_SIZES[choice]}b}{255 * (index % 2):08b}")
            left -= length
    text = np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")
    return [int(byte) for byte in np.packbits(text)]


def decode_brush(code: object, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The mask of a code of Label Studio's brush tool for an image of `size` (height, width).

    The stated number of values is compared with the size before memory is asked for.

    Raises:
        RleError: the code is no list of bytes, belongs to another size, or ends before the mask is full.
    """
    height, width = size
    values = height * width * _CHANNELS
    bits = _bits(code)
    if len(bits) < _HEAD:
        raise RleError(f"brush code of {len(bits) // 8} bytes; it has no header. Export the annotations again.")
    stated, word = int(bits[:32], 2), int(bits[32:37], 2) + 1
    if stated != values:
        raise RleError(f"brush code of {stated:,} values; an image of {width}x{height} has {values:,}.")
    if word != _WORD:
        raise RleError(f"brush code with values of {word} bits; allowed are {_WORD}.")
    sizes = [int(bits[place : place + 4], 2) + 1 for place in range(37, _HEAD, 4)]
    flat = np.zeros(values, np.uint8)
    place = 0
    for length, part in _runs(bits, sizes, values):
        flat[place : place + length] = part
        place += length
    return flat.reshape(height, width, _CHANNELS)[..., -1] >= _OPAQUE


def _bits(code: object) -> str:
    if not isinstance(code, list) or not all(isinstance(one, int) and 0 <= one <= 255 for one in code):
        raise RleError(f"brush code of type {type(code).__name__}; allowed is a list of bytes, 0 to 255.")
    return (np.unpackbits(np.array(code, np.uint8)) + ord("0")).astype(np.uint8).tobytes().decode("ascii")


def _runs(bits: str, sizes: list[int], values: int) -> Iterator[tuple[int, int | UInt8[np.ndarray, " n"]]]:
    """Length of each run, and its value or values, until `values` are reached."""
    place, done = _HEAD, 0
    while done < values:
        width = sizes[int(bits[place + 1 : place + 3] or "0", 2)]
        start = place + 3 + width
        if start + _WORD > len(bits):
            raise RleError(f"brush code ends after {done:,} of {values:,} values. Export the annotations again.")
        length = 1 + int(bits[place + 3 : start], 2)
        repeated = bits[place] == "1"
        place = start + (_WORD if repeated else length * _WORD)
        if done + length > values or place > len(bits):
            raise RleError(f"brush code with a run of {length:,} after {done:,} of {values:,} values.")
        digits = np.frombuffer(bits[start:place].encode("ascii"), np.uint8) - ord("0")
        found = np.packbits(digits)
        yield length, int(found[0]) if repeated else found
        done += length
