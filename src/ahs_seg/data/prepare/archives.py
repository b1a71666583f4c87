"""Safe extraction of zip and tar archives: only the needed members, no path outside the target, resumable.

While a folder or file is being unpacked, a marker file exists beside it; a target with a marker is incomplete, and the
next run continues there. Links, devices and names that lead outside the target are refused before anything is written.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple, Protocol, runtime_checkable

from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.io.atomic import unsynced_path
from ahs_seg.io.progress import ProgressBar

ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
_DAMAGED: Final = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class ArchiveError(PrepareError):
    """Error for an archive that is damaged, lacks the expected members, or would write outside of its folder."""


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Member(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether the file name has the suffix of a supported archive format."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def is_there(target: Path) -> bool:
    """Whether a folder or file is complete: it exists, is not empty, and has no marker of an unfinished extraction."""
    if _marker(target).exists():
        return False
    return any(target.iterdir()) if target.is_dir() else target.is_file() and target.stat().st_size > 0


def unpack(
    archive: Path, members: Mapping[str, Path], *, endings: tuple[str, ...] = ("",), progress: bool = True
) -> int:
    """Number of files unpacked from `archive`.

    `members` maps each wanted folder (ending in "/") or file of the archive to its target path. Members are found at
    any depth, so `a/b/` also matches `outer/a/b/`. `endings` selects files of the folders by suffix.

    Raises:
        ArchiveError: a member is missing, the archive is damaged, or a link or name leads outside the target.
    """
    try:
        with _opened(archive) as listed:
            wanted = [(member, target) for member in listed if (target := _target(member.name, members, endings))]
            _check_found(archive, listed, wanted, members)
            with _marked(list(members.values())):
                for member, target in ProgressBar(f"unpacking {archive.name}", unit="files", shown=progress)(wanted):
                    if not (target.is_file() and target.stat().st_size == member.size):
                        _unpack_member(member, target)
            return len(wanted)
    except _DAMAGED as error:
        raise ArchiveError(f"{archive} is damaged or incomplete ({error}); fetch it again.") from error


def place(source: Path, target: Path) -> None:
    """Copy one file to its target path atomically."""
    with source.open("rb") as file:
        _write(file, target, source.stat().st_size)


def sync() -> None:
    """Wait until all written data is on the disk, on systems that support it."""
    if hasattr(os, "sync"):
        os.sync()


def _marker(target: Path) -> Path:
    return target.with_name(f".{target.name}.unpacking")


@contextmanager
def _marked(targets: list[Path]) -> Iterator[None]:
    """Context with a marker beside every target; markers are removed only when the work is finished and on the disk."""
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        _marker(target).touch()
    yield
    sync()
    for target in targets:
        _marker(target).unlink()


def _check_found(
    archive: Path, listed: list[_Member], wanted: list[tuple[_Member, Path]], members: Mapping[str, Path]
) -> None:
    if missing := [name for name in members if not any(_below(member.name, name) is not None for member, _ in wanted)]:
        start = ", ".join(member.name for member in listed[:3]) or "nothing"
        raise ArchiveError(
            f"{archive}: holds no {' or '.join(missing)}; its first members are {start}. Is it the archive that "
            "was published under this name?"
        )


def _target(name: str, members: Mapping[str, Path], endings: tuple[str, ...]) -> Path | None:
    path = PurePosixPath(name)
    if name.endswith("/") or path.name.startswith("._") or "__MACOSX" in path.parts:
        return None
    for wanted, target in members.items():
        rest = _below(name, wanted)
        if rest == "":
            return target
        if rest is not None:
            return target / rest if name.endswith(endings) else None
    return None


def _below(name: str, wanted: str) -> str | None:
    """Part of a member name below the folder `wanted`, "" if it is the file `wanted`, None if it is neither."""
    _, found, after = f"/{name}".partition(f"/{wanted}")
    return after if found and bool(after) == wanted.endswith("/") else None


@contextmanager
def _opened(archive: Path) -> Iterator[list[_Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            _check_kind(archive, [entry.filename for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)])
            yield [_Member(_safe(e.filename, archive), e.file_size, partial(zipped.open, e)) for e in entries]
    else:
        with tarfile.open(archive) as tarred:
            found = tarred.getmembers()
            _check_kind(archive, [member.name for member in found if not (member.isreg() or member.isdir())])
            files = [member for member in found if member.isreg()]
            yield [_Member(_safe(f.name, archive), f.size, partial(tarred.extractfile, f)) for f in files]


def _check_kind(archive: Path, links: list[str]) -> None:
    if links:
        raise ArchiveError(
            f"{archive}: refused, its member {links[0]!r} is a link or a device, not a file. Nothing was written. "
            "Fetch the archive from its publisher."
        )


def _safe(name: str, archive: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise ArchiveError(
            f"{archive}: refused, its member {name!r} leads outside of the folder it is unpacked to. Nothing was "
            "written. Fetch the archive from its publisher."
        )
    return name.removeprefix("./")


def _unpack_member(member: _Member, target: Path) -> None:
    source = member.open()
    if source is None:
        raise ArchiveError(f"member {member.name!r} is not a file.")
    with source:
        _write(source, target, member.size)


def _write(source: _Readable, target: Path, size: int) -> None:
    with unsynced_path(target) as path, path.open("wb") as draft:
        shutil.copyfileobj(source, draft, 1 << 20)
        if draft.tell() != size:
            raise EOFError(f"{target.name} has {draft.tell()} of {size} bytes")
