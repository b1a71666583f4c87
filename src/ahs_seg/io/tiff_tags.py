"""Tags of TIFF files and EXIF blocks: how many bytes they state, before a decoder loads them, and the values of a few.

An entry of a directory says how many values it has and where in the file they lie. Decoders load those of all entries,
also if hundreds of them state the same megabyte.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from ahs_seg.io.pixels import ImageError

FREE_TAG_BYTES: Final = 2**20
"""Bytes that tags may state in addition to the size of the file: some programs let several tags share their values."""
MAX_TAGS: Final = 65_535
"""Maximum number of tags of a directory; BigTIFF could state more, but libtiff does not read them."""
MAX_TAG_VALUES: Final = 3 * 2**16
"""Maximum number of values of a tag that is read here; the largest palette has so many."""

_VALUE_BYTES: Final = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8, 0], np.float64)
"""Bytes of a value by the type of an entry; the last place stands for unknown types, which decoders ignore."""
_INTEGERS: Final = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_DIRECTORIES: Final = (330, 34665, 34853, 40965)
"""Tags whose value is the place of another directory: smaller versions, EXIF, GPS, interoperability."""
_Entries: TypeAlias = np.ndarray
"""Entries of a directory, as a structured array."""
_EXIF: Final = b"Exif\0\0"
_RAW_PROFILE: Final = "Raw profile type exif"


def check_tags(file: io.BufferedIOBase, name: str) -> None:
    """Check that the tags of all directories of a TIFF or EXIF block state little more bytes than there are.

    Raises:
        ImageError: a directory has too many tags, or together they state too many bytes.
    """
    reader = _Reader(file)
    pending, seen, stated = [reader.first], set[int](), 0
    while pending:
        place = pending.pop()
        if place in seen:
            continue
        seen.add(place)
        entries, following = reader.directory(place, name)
        stated += reader.stated(entries)
        if stated > reader.size + FREE_TAG_BYTES:
            raise ImageError(
                f"{name}: its tags state {stated:,} bytes or more, but it has {reader.size:,}; at most "
                f"{FREE_TAG_BYTES:,} more than that are loaded. Save it again without its metadata."
            )
        pointers = entries[np.isin(entries["tag"], _DIRECTORIES)]
        pending += [found[0] for entry in pointers if (found := reader.values(entry, 1))]
        if following:
            pending.append(following)


def read_tags(file: io.BufferedIOBase, name: str, wanted: Collection[int]) -> dict[int, Any]:
    """Values of the `wanted` tags of the first image of a TIFF, which hold integers; a tuple where they are several.

    Raises:
        ImageError: see `check_tags`, or a wanted tag has too many values.
    """
    check_tags(file, name)
    reader = _Reader(file)
    entries, _ = reader.directory(reader.first, name)
    tags: dict[int, Any] = {}
    for entry in entries[np.isin(entries["tag"], [*wanted])]:
        if entry["count"] > MAX_TAG_VALUES:
            raise ImageError(
                f"{name}: its tag {entry['tag']} states {entry['count']:,} values; at most {MAX_TAG_VALUES:,} are "
                "read. Copy the file again or leave it out."
            )
        if values := reader.values(entry, int(entry["count"])):
            tags[int(entry["tag"])] = values if len(values) > 1 else values[0]
    return tags


def exif_block(info: Mapping[Any, Any]) -> bytes:
    """The EXIF block that Pillow finds in the metadata of an image (`Image.info`), empty if there is none."""
    if "exif" not in info and _RAW_PROFILE in info:
        return bytes.fromhex("".join(info[_RAW_PROFILE].split("\n")[3:]))
    return info.get("exif") or b""


def check_exif(block: bytes) -> None:
    """Check that the tags of an EXIF block state little more bytes than it has.

    Raises:
        ImageError: see `check_tags`, or it does not begin as an EXIF block.
    """
    if not block:
        return
    for _ in range(3):  # some programs write it repeatedly; Pillow copies the block for each
        block = block.removeprefix(_EXIF)
    if block.startswith(_EXIF) or b"\x2b" in block[2:4]:  # of BigTIFF, which Pillow reads as classic
        raise ImageError("EXIF block: does not begin as such a block. Save the image again without its metadata.")
    check_tags(io.BytesIO(block), "EXIF block")


class _Reader:
    """Directories of a TIFF file or of an EXIF block, classic or BigTIFF, in either order of bytes."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        file.seek(0)
        header = file.read(16)
        self._file = file
        self._order = ">" if header[:1] == b"M" else "<"
        big = b"\x2b" in header[2:4]
        place = "u8" if big else "u4"
        self._number = np.dtype(self._order + ("u8" if big else "u2"))
        self._place = np.dtype(self._order + place)
        kinds = [("tag", "u2"), ("type", "u2"), ("count", place), ("value", place)]
        self._entry = np.dtype([(key, self._order + kind) for key, kind in kinds])
        self.size = file.seek(0, os.SEEK_END)
        self.first = self._integer(8 if big else 4, self._place)

    def directory(self, place: int, name: str) -> tuple[_Entries, int]:
        """The entries of the directory at a place, as far as they lie in the file, and the place of the next or 0."""
        start = place + self._number.itemsize
        number = min(self._integer(place, self._number), max(self.size - start, 0) // self._entry.itemsize)
        if number > MAX_TAGS:
            raise ImageError(f"{name}: a directory of {number:,} tags; at most {MAX_TAGS:,} are read. It is damaged.")
        entries = np.frombuffer(self._bytes(start, number * self._entry.itemsize), self._entry)
        return entries, self._integer(start + number * self._entry.itemsize, self._place)

    def stated(self, entries: _Entries) -> int:
        """Bytes of a directory and of the values that its entries refer to; those that lie outside are not loaded."""
        sizes = entries["count"] * _VALUE_BYTES[np.minimum(entries["type"], len(_VALUE_BYTES) - 1)]
        loaded = (sizes > self._place.itemsize) & (entries["value"] + sizes <= self.size)
        return int(sizes[loaded].sum()) + entries.nbytes + self._number.itemsize + self._place.itemsize

    def values(self, entry: Any, number: int) -> tuple[int, ...]:
        """The first values of an entry, empty if they are no integers or lie outside of the file."""
        if (kind := _INTEGERS.get(int(entry["type"]))) is None:
            return ()
        dtype, count = np.dtype(self._order + kind), int(entry["count"])
        length = min(number, count) * dtype.itemsize
        if count * dtype.itemsize <= self._place.itemsize:
            content = np.array(entry["value"], self._place).tobytes()[:length]
        else:
            content = self._bytes(int(entry["value"]), length)
        return tuple(np.frombuffer(content, dtype).tolist()) if len(content) == length else ()

    def _integer(self, place: int, dtype: np.dtype) -> int:
        """An integer at a place, 0 where the file has ended."""
        content = self._bytes(place, dtype.itemsize)
        return int(np.frombuffer(content, dtype)[0]) if len(content) == dtype.itemsize else 0

    def _bytes(self, place: int, number: int) -> bytes:
        if place >= self.size:
            return b""
        self._file.seek(place)
        return self._file.read(number)
