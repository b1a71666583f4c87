"""Source files of a dataset: published archives and files, located, downloaded and unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ahs_seg.data.prepare.archives import ARCHIVE_SUFFIXES, is_archive, is_there, place, unpack
from ahs_seg.data.prepare.downloads import download
from ahs_seg.data.prepare.errors import MissingSourceError

DOWNLOADS = "downloads"
"""Folder below the root where archives are looked for and downloaded to."""
GB: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSource:
    """One published source file, and where its content is placed below the root.

    `members` maps folders (ending in "/") or files of the archive to paths below the root; a file that is not an
    archive has a single entry. `endings` selects the needed files of the folders by suffix. `max_bytes` is what the
    needed files may have together: more than the published ones, so that another version passes, and little enough to
    stop an archive that would fill the disk. `page` is where to get the file by hand; `url`, `size` (bytes) and
    `checksum` ("sha256:...") are given where they are public.
    """

    file: str
    members: dict[str, str] = field(hash=False)
    max_bytes: int
    endings: tuple[str, ...] = ("",)
    page: str
    url: str = ""
    size: int | None = None
    checksum: str = ""

    def is_unpacked(self, root: Path) -> bool:
        """Whether all of its content is completely unpacked below the root."""
        return all(is_there(root / target) for target in self.members.values())

    def find(self, folders: Sequence[Path]) -> Path | None:
        """Path of the file in one of the folders, also with another archive suffix; `None` if it is not found."""
        names = [self.file]
        for suffix in ARCHIVE_SUFFIXES:
            if self.file.endswith(suffix):
                names += [self.file.removesuffix(suffix) + other for other in ARCHIVE_SUFFIXES]
        return next((path for folder in folders for name in names if (path := folder / name).is_file()), None)

    def how_to_get(self, root: Path, folders: Sequence[Path]) -> str:
        """Instruction of one line: where to get the file, where to put it, and which folder can replace it."""
        target = root / next(iter(self.members.values()))
        fetch = f"--download fetches it from {self.url}" if self.url else f"get it from {self.page}"
        where = " or ".join(str(folder) for folder in folders)
        return f"{self.file}: {fetch}; put it in {where}, or its content in {target}"


def check_available(
    sources: Sequence[ArchiveSource], root: Path, *, archives: Sequence[Path] = (), fetch: bool = False
) -> None:
    """Check that every source is unpacked below the root, or its file is found, or `fetch` is set and it has a URL.

    Files are looked for in `archives`, the root and its folder "downloads".

    Raises:
        MissingSourceError: files are missing; the message lists each, where to get it and where to put it.
    """
    folders = _folders(root, archives)
    unknown = [
        source
        for source in sources
        if not source.is_unpacked(root) and not source.find(folders) and not (fetch and source.url)
    ]
    if unknown:
        lines = [f"  {source.how_to_get(root, folders)}" for source in unknown]
        raise MissingSourceError(f"{len(unknown)} of {len(sources)} files are missing:\n" + "\n".join(lines))


def provide(
    sources: Sequence[ArchiveSource],
    root: Path,
    *,
    archives: Sequence[Path] = (),
    fetch: bool = False,
    progress: bool = True,
) -> None:
    """Unpack all sources below the root, downloading missing files if `fetch` is set.

    Raises:
        MissingSourceError: files are missing, see `check_available`.
    """
    check_available(sources, root, archives=archives, fetch=fetch)
    for source in sources:
        if source.is_unpacked(root):
            continue
        found = source.find(_folders(root, archives))
        if found is None:
            found = root / DOWNLOADS / source.file
            download(source.url, found, size=source.size, checksum=source.checksum, progress=progress)
        if is_archive(found):
            targets = {name: root / target for name, target in source.members.items()}
            unpack(found, targets, max_bytes=source.max_bytes, endings=source.endings, progress=progress)
        else:
            place(found, root / next(iter(source.members.values())), max_bytes=source.max_bytes)


def _folders(root: Path, archives: Sequence[Path]) -> list[Path]:
    return [*archives, root, root / DOWNLOADS]
