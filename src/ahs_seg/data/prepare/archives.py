"""Extraction of zip and tar archives: only the needed members, nothing outside the target, in bounded size, resumable.

While a folder or file is being unpacked, a marker file exists beside it; a target with a marker is incomplete, and the
next run continues there. An archive that is refused is refused before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol, runtime_checkable

from ahs_seg.data.prepare.members import ArchiveError, Member, opened_archive, reading, refused, unpacked_limit
from ahs_seg.data.prepare.safe_names import same_file_key
from ahs_seg.io.atomic import unsynced_path
from ahs_seg.io.progress import ProgressBar

ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_FILES: Final = 400_000
"""Most files that are unpacked from one archive; the largest split, COCO's training images, has 118,287."""
MAX_FOLDER_FILE_BYTES: Final = 64 * 2**20
"""Most bytes of a file in a wanted folder: an image, a label map or a list of names."""
MAX_SINGLE_FILE_BYTES: Final = 2**31
"""Most bytes of a file that is wanted by its own name: annotations of a whole dataset."""
_CHUNK: Final = 2**20


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Wanted(NamedTuple):
    """A member with its path on the disk and the wanted folder or file that it belongs to."""

    member: Member
    target: Path
    source: str


def is_archive(path: Path) -> bool:
    """Whether the file name has the suffix of a supported archive format."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def is_there(target: Path) -> bool:
    """Whether a folder or file is complete: it exists, is not empty, and has no marker of an unfinished extraction."""
    if _marker(target).exists():
        return False
    return any(target.iterdir()) if target.is_dir() else target.is_file() and target.stat().st_size > 0


def unpack(
    archive: Path,
    members: Mapping[str, Path],
    *,
    max_bytes: int,
    endings: tuple[str, ...] = ("",),
    progress: bool = True,
) -> int:
    """Number of files unpacked from `archive`.

    `members` maps each wanted folder (ending in "/") or file of the archive to its target path. Members are found at
    any depth, so `a/b/` also matches `outer/a/b/`. `endings` selects files of the folders by suffix. `max_bytes` is
    what the wanted members may have together.

    Raises:
        ArchiveError: a member is missing, damaged or encrypted, a name or link leads outside the target, two members
            would be the same file, or more is to be written than the dataset can hold.
    """
    with opened_archive(archive) as listed:
        wanted = [found for member in listed if (found := _wanted(member, members, endings))]
        _check_found(archive, listed, wanted, members)
        _check_sizes(archive, wanted, max_bytes)
        _check_targets(archive, wanted, members)
        with _marked(list(members.values())):
            _write_all(archive, wanted, ProgressBar(f"unpacking {archive.name}", unit="files", shown=progress))
        return len(wanted)


def place(source: Path, target: Path, *, max_bytes: int) -> None:
    """Copy one file to its target path atomically.

    Raises:
        ArchiveError: the file is larger than `max_bytes`.
    """
    if (size := source.stat().st_size) > max_bytes:
        raise ArchiveError(f"{source}: {size:,} bytes; at most {max_bytes:,} are expected. Fetch it again.")
    with source.open("rb") as file:
        _write(file, target, size, source)


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


def _write_all(archive: Path, wanted: list[_Wanted], track: ProgressBar) -> None:
    """Write all files; if the archive turns out to be damaged, those of this run are removed again."""
    written = []
    try:
        for member, target, _ in track(wanted):
            if target.is_file() and target.stat().st_size == member.size:
                continue
            with reading(archive):
                source = member.open()
            if source is None:
                raise ArchiveError(f"{archive}: its member {member.name!r} is not a file. Fetch the archive again.")
            with source:
                _write(source, target, member.size, archive)
            written.append(target)
    except ArchiveError:
        for target in written:
            target.unlink()
        raise


def _check_found(archive: Path, listed: list[Member], wanted: list[_Wanted], members: Mapping[str, Path]) -> None:
    there = {found.source for found in wanted}
    if missing := [name for name in members if name not in there]:
        start = ", ".join(member.name for member in listed[:3]) or "nothing"
        raise ArchiveError(
            f"{archive}: holds no {' or '.join(missing)}; its first members are {start}. Is it the archive that "
            "was published under this name?"
        )


def _check_sizes(archive: Path, wanted: list[_Wanted], max_bytes: int) -> None:
    """Compare what the members would occupy with the limits; a sparse file counts with its full size."""
    for member, _, source in wanted:
        if member.problem:
            raise refused(archive, member.name, member.problem, remedy="")
        allowed = MAX_FOLDER_FILE_BYTES if source.endswith("/") else MAX_SINGLE_FILE_BYTES
        if member.size > allowed:
            raise refused(archive, member.name, f"would have {member.size:,} bytes; allowed are {allowed:,}")
    limit, total = min(max_bytes, unpacked_limit(archive)), sum(found.member.size for found in wanted)
    if total > limit or len(wanted) > MAX_FILES:
        raise ArchiveError(
            f"{archive}: refused, it would unpack to {total:,} bytes in {len(wanted):,} files; this dataset has at "
            f"most {limit:,} bytes in {MAX_FILES:,} files. Nothing was written. Fetch the archive from its publisher."
        )


def _check_targets(archive: Path, wanted: list[_Wanted], members: Mapping[str, Path]) -> None:
    """Check that every target, with links resolved, is below its folder, and that no two are the same file."""
    keys: dict[str, str] = {}
    folders: set[str] = set()
    below: dict[tuple[Path, str], bool] = {}
    for member, target, source in wanted:
        place = target.parent, source
        if place not in below:
            folder = members[source] if source.endswith("/") else target.parent
            below[place] = target.parent.resolve().is_relative_to(folder.resolve())
        if not below[place]:
            raise refused(archive, member.name, "leads outside of the folder it is unpacked to", _LINKS)
        key = same_file_key(PurePosixPath(target.as_posix()))
        if key in keys:
            raise refused(archive, member.name, f"would be the same file as {keys[key]!r}")
        keys[key] = member.name
        while (key := key.rpartition("/")[0]) and key not in folders:
            folders.add(key)
    if clash := folders & keys.keys():
        raise refused(archive, keys[clash.pop()], "is a file where other members need a folder")


_LINKS: Final = "Remove the link that stands in the way, or fetch the archive from its publisher."


def _wanted(member: Member, members: Mapping[str, Path], endings: tuple[str, ...]) -> _Wanted | None:
    path = PurePosixPath(member.name)
    if path.name.startswith("._") or "__MACOSX" in path.parts:
        return None
    for source, target in members.items():
        rest = _below(member.name, source)
        if rest == "":
            return _Wanted(member, target, source)
        if rest is not None:
            return _Wanted(member, target / rest, source) if member.name.endswith(endings) else None
    return None


def _below(name: str, wanted: str) -> str | None:
    """Part of a member name below the folder `wanted`, "" if it is the file `wanted`, None if it is neither."""
    _, found, after = f"/{name}".partition(f"/{wanted}")
    return after if found and bool(after) == wanted.endswith("/") else None


def _write(source: _Readable, target: Path, size: int, archive: Path) -> None:
    """Write exactly `size` bytes; less or more, whatever a header says, is an error and leaves no file."""
    with unsynced_path(target) as path, path.open("wb") as draft:
        left = size
        while True:
            with reading(archive):
                chunk = source.read(min(_CHUNK, left + 1))
            left -= len(chunk)
            if left < 0 or (left and not chunk):
                what = "more than" if left < 0 else f"{size - left:,} of"
                raise ArchiveError(
                    f"{archive} is damaged or incomplete ({target.name} has {what} {size:,} bytes); fetch it again."
                )
            if not chunk:
                return
            draft.write(chunk)
