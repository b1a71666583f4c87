"""Files in a zip or tar archive, listed without trusting what the archive says about itself.

`tarfile`'s own filter "data" refuses links, devices and paths outside of the folder, but bounds no size, knows no zip,
and accepts names that land on one another; `zipfile` replaces odd names by others. Here an archive is refused as a
whole if one of its members is odd, before anything is written, and reading it costs memory and time in proportion to
the bytes of the archive.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.data.prepare.safe_names import name_problem

MAX_MEMBERS: Final = 2_000_000
"""Most members of an archive; the full ADE20K, with a mask for every object, has about one million."""
MAX_RATIO: Final = 200
"""Most bytes unpacked for each byte of the archive; images and label maps reach 5, MATLAB files 120."""
FREE_BYTES: Final = 64 * 2**20
"""Bytes that may be unpacked whatever the ratio, so that a small archive of plain colours is no bomb."""
MAX_HEADER_BYTES: Final = 2**18
"""Most bytes of the headers of one member of a tar archive: long names, attributes, the map of a sparse file."""
_MAX_SHARED_HEADERS: Final = 1000
_ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ENCRYPTED: Final = 0x1
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 2**20
_FETCH: Final = "Fetch the archive from its publisher."


class ArchiveError(PrepareError):
    """Error for an archive that is damaged, lacks the expected members, or would write what it should not."""


class Member(NamedTuple):
    """One file of an archive, its size as the archive states it; `problem` says why it cannot be unpacked, if so."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]
    problem: str = ""


@contextmanager
def opened_archive(archive: Path) -> Iterator[list[Member]]:
    """All files of an archive, which stays open inside the block; folders are left out.

    Raises:
        ArchiveError: the archive is damaged, or a member is a link or a device, or has a name that is not allowed.
    """
    with ExitStack() as stack:
        with reading(archive):
            listing = _zip_members if zipfile.is_zipfile(archive) else _tar_members
            members = listing(archive, stack)
        yield members


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Context in which any exception of a decoder becomes an `ArchiveError` that names the archive."""
    try:
        yield
    except ArchiveError:
        raise
    except Exception as error:  # decoders of damaged archives raise whatever they meet
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"{archive} is damaged or incomplete ({reason}); fetch it again.") from error


def unpacked_limit(archive: Path) -> int:
    """Most bytes that may be unpacked from an archive, by its size on the disk."""
    return FREE_BYTES + MAX_RATIO * archive.stat().st_size


def refused(archive: Path, name: str, problem: str, remedy: str = _FETCH) -> ArchiveError:
    """The error for one member, with nothing written yet."""
    return ArchiveError(f"{archive}: refused, its member {name!r} {problem}. Nothing was written. {remedy}")


def _zip_members(archive: Path, stack: ExitStack) -> list[Member]:
    zipped = stack.enter_context(zipfile.ZipFile(archive))
    entries = zipped.infolist()
    if len(entries) > MAX_MEMBERS:
        raise _too_many(archive)
    members = []
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refused(archive, entry.filename, "is a link or a device, not a file")
        if name := _safe_name(entry.orig_filename, archive):
            members.append(Member(name, entry.file_size, partial(zipped.open, entry), _zip_problem(entry)))
    return members


def _zip_problem(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _ZIP_ENCRYPTED:
        return "is encrypted; unpack the archive by hand, with its password"
    if entry.compress_type not in _ZIP_METHODS:  # BZIP2 and LZMA are decoded by `zipfile` without a bound on memory
        return (
            f"is compressed with method {entry.compress_type}, allowed are 0 (stored) and 8 (deflated); unpack the "
            "archive by hand, or pack it again"
        )
    return ""


def _tar_members(archive: Path, stack: ExitStack) -> list[Member]:
    limit = unpacked_limit(archive)
    file = stack.enter_context(archive.open("rb"))
    packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    stream = _BoundedStream(gzip.GzipFile(fileobj=file) if packed else file, archive, limit)
    tarred = stack.enter_context(tarfile.TarFile(fileobj=cast(IO[bytes], stream)))
    members = []
    for count, info in enumerate(_tar_infos(tarred, stream, archive)):
        if count >= MAX_MEMBERS:
            raise _too_many(archive)
        if not (info.isreg() or info.isdir()):
            raise refused(archive, info.name, "is a link or a device, not a file")
        if (name := _safe_name(info.name, archive)) and info.isreg():
            members.append(Member(name, info.size, partial(tarred.extractfile, info)))
    return members


def _tar_infos(tarred: tarfile.TarFile, stream: _BoundedStream, archive: Path) -> Iterator[tarfile.TarInfo]:
    """The headers up to the end mark; `tarfile` itself takes a damaged header, or the end of the file, for the end."""
    end = -1
    while (info := _next_info(tarred, stream)) is not None:
        if info.offset <= end or info.size < 0 or len(tarred.pax_headers) > _MAX_SHARED_HEADERS:
            raise ArchiveError(f"{archive} is damaged or incomplete (header at {info.offset:,}); fetch it again.")
        end = info.offset
        info.pax_headers = {}
        yield info
    stream.seek(tarred.offset)
    if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise ArchiveError(f"{archive} is damaged or incomplete (no end mark after its members); fetch it again.")
    while stream.read(_CHUNK):  # the checksum of a gzip file is at its end
        pass


def _next_info(tarred: tarfile.TarFile, stream: _BoundedStream) -> tarfile.TarInfo | None:
    with stream.headers():
        info = tarred.next()
    tarred.members = []  # type: ignore[attr-defined]  # absent in typeshed; else every header stays in memory
    return info


class _BoundedStream:
    """The bytes of a tar archive up to a limit; while headers are read, only as many as headers may have."""

    def __init__(self, stream: io.BufferedIOBase, archive: Path, limit: int) -> None:
        self._stream, self._archive, self._limit = stream, archive, limit
        self._left: int | None = MAX_HEADER_BYTES  # `TarFile` reads the first header

    @contextmanager
    def headers(self) -> Iterator[None]:
        self._left = MAX_HEADER_BYTES
        yield
        self._left = None

    def read(self, size: int = -1) -> bytes:
        if self._left is not None:
            self._left -= size
            if size < 0 or self._left < 0:
                raise ArchiveError(
                    f"{self._archive}: refused, the header of a member has more than {MAX_HEADER_BYTES:,} bytes. "
                    "Nothing was written. Fetch the archive from its publisher."
                )
        data = self._stream.read(size)
        self._check(self._stream.tell())
        return data

    def seek(self, place: int) -> int:
        self._check(place)
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, place: int) -> None:
        if place > self._limit:
            raise ArchiveError(
                f"{self._archive}: refused, it unpacks to more than {MAX_RATIO} times its size. Nothing was written. "
                "Fetch the archive from its publisher."
            )


def _safe_name(name: str, archive: Path) -> str:
    """The name of a file; "" for that of a folder.

    Raises:
        ArchiveError: the name is not allowed.
    """
    bare = name.removeprefix("./").removesuffix("/")
    if bare in ("", "."):
        return ""
    if problem := name_problem(bare):
        raise refused(archive, name, problem)
    return "" if name.endswith("/") else bare


def _too_many(archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive}: refused, it has more than {MAX_MEMBERS:,} members. Nothing was written. "
        "Fetch the archive from its publisher."
    )
