"""Hostile archives of a benchmark: names that lead outside, links, bombs, damage."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.campaign.damage import DAMAGES
from tests.support.miniature import ade150

STEM: Final = "ADEChallengeData2016"
VALIDATION: Final = f"{STEM}/images/validation"
NAMES: Final = (
    *(f"{VALIDATION}//{{absolute}}/ran", f"{VALIDATION}/../../../../../ran", f"/{VALIDATION}/a.jpg", "../ran"),
    *(f"{VALIDATION}/./../../../../ran", f"{VALIDATION}\\..\\ran", f"{VALIDATION}/a\0.jpg", f"{VALIDATION}/C:/ran"),
    *(f"{VALIDATION}/{'x' * 300}.jpg", f"{VALIDATION}/{'d/' * 600}a.jpg", f"{VALIDATION}/.unpacking", "", "."),
    *(f"{VALIDATION}/ADE_val_00000001.jpg/below.jpg", f"{VALIDATION}/\x1b[2Jclear.jpg", f"{VALIDATION}/..", "//"),
)
LINKS: Final = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
LARGE: Final = 2**29
"""Bytes that a bomb unpacks to; one of its files has less."""


def members(folder: Path) -> dict[str, bytes]:
    """The files of a tiny benchmark in its original layout."""
    root = ade150(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def as_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files, by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def as_tar(files: dict[str, bytes], mode: str = "w", *, kind: bytes = tarfile.REGTYPE, odd: str = "") -> bytes:
    """A tar of these files; the one named `odd` is of another kind, a link to a file outside."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is chosen by name
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name == odd:
                info.type, info.linkname, info.size = kind, "../../../../ran", 0
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def leading_outside(files: dict[str, bytes], folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Name of a case, name of its archive, content: members whose names lead outside of the folder."""
    for number, name in enumerate(NAMES):
        named = {**files, name.replace("{absolute}", str(folder.parent)): b"evil"}
        yield f"name {number} in a zip", f"{STEM}.zip", as_zip(named)
        yield f"name {number} in a tar", f"{STEM}.tar", as_tar(named)


def of_other_kinds(files: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Links, devices and pipes; a link and then a file below it; an encrypted member, unknown methods, a lying size."""
    for kind in LINKS:
        name = f"{VALIDATION}/extra.jpg"
        yield f"kind {kind!r}", f"{STEM}.tar", as_tar({**files, name: b""}, kind=kind, odd=name)
    link = f"{VALIDATION}/down"
    below = {**files, link: b"", f"{link}/ran": b"evil"}
    yield "a file below a link", f"{STEM}.tar.gz", as_tar(below, "w:gz", kind=tarfile.SYMTYPE, odd=link)
    whole = as_zip(files)
    for place, number in ((6, 1), (8, 99), (8, 14), (22, 2**31 - 1), (18, 2**32 - 1), (14, 7)):
        form = "<H" if place < 14 else "<I"
        yield f"zip with {number} at {place}", f"{STEM}.zip", _in_headers(whole, place, form, number)
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        content = bytearray(as_zip(files, method))
        content[80:200] = bytes(120)
        yield f"damaged data of method {method}", f"{STEM}.zip", bytes(content)


def bombs(files: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Small archives that unpack to very much, and one of very many names."""
    name = f"{VALIDATION}/large.jpg"
    yield "a sparse tar", f"{STEM}.tar", _sparse(name) + as_tar(files)
    many = {f"{VALIDATION}/{number}.jpg": b"" for number in range(2_000)}
    yield "2,000 empty files", f"{STEM}.zip", as_zip({**files, **many}, zipfile.ZIP_STORED)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, content in files.items():
            archive.writestr(key, content)
        with archive.open(name, "w", force_zip64=True) as file:
            for _ in range(LARGE >> 24):
                file.write(bytes(1 << 24))
    yield f"a zip of {LARGE} zeros", f"{STEM}.zip", buffer.getvalue()


def damaged(draw: random.Random, files: dict[str, bytes], count: int) -> Iterator[tuple[str, str, bytes]]:
    """Archives of every kind with every damage in turn."""
    kinds = {f"{STEM}.zip": as_zip(files), f"{STEM}.tar": as_tar(files), f"{STEM}.tar.gz": as_tar(files, "w:gz")}
    pairs = [(name, damage) for damage in DAMAGES for name in kinds]
    for number in range(count):
        name, damage = pairs[number % len(pairs)]
        yield f"{damage.__name__} {name} {number}", name, bytes(damage(draw, bytearray(kinds[name])))


def _in_headers(content: bytes, place: int, form: str, number: int) -> bytes:
    """A zip with another number in the headers of all its members, local and central."""
    changed = bytearray(content)
    for signature, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        found = changed.find(signature)
        while found >= 0:
            struct.pack_into(form, changed, found + place + shift, number)
            found = changed.find(signature, found + 4)
    return bytes(changed)


def _sparse(name: str) -> bytes:
    """An old GNU sparse member whose real size is `LARGE`."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = f"{LARGE:011o}\0".encode()
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)
