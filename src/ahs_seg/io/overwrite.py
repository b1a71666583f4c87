"""Outputs never land on inputs: places are compared by what the file system says, not by their spelling.

Links, `..`, relative paths, another case on a file system that ignores it: two paths are the same place if device and
inode are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path, PurePath
from typing import Final

from ahs_seg.errors import AhsSegError
from ahs_seg.io.drafts import FILE_ENDING, FOLDER_ENDING
from ahs_seg.io.reach import exists, is_folder, is_link, resolved

_OF_SYSTEMS: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that systems write into folders that are looked at."""


class OverwriteError(AhsSegError, ValueError):
    """An output would land on an input, or on files that it does not belong to; the message says where to write."""


class OutputFolder:
    """The place of an output folder, which may not exist yet; None: there is no output."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._place = None if path is None else _place(path)
        self._known: dict[Path, bool] = {}

    def is_at(self, path: Path) -> bool:
        """Whether `path` is the output folder itself."""
        return self._place is not None and _place(path) == self._place

    def holds(self, path: Path) -> bool:
        """Whether a file or folder is the output folder or lies below it, itself or as the target of a link."""
        if self._place is None:
            return False
        return self._below(path.parent.resolve() / path.name) or (is_link(path) and self._below(resolved(path)))

    def _below(self, path: Path) -> bool:
        return self.is_at(path) or self._inside(path.parent)

    def _inside(self, folder: Path) -> bool:
        if folder not in self._known:
            self._known[folder] = self.is_at(folder) or (folder != folder.parent and self._inside(folder.parent))
        return self._known[folder]


def leads_outside(name: str | PurePath) -> bool:
    """Whether a name of results, relative to their folder, is none or may lead to a place outside of the folder."""
    path = PurePath(name)
    return not path.name or bool(path.anchor) or ".." in path.parts


def check_output_file(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Check that a file to write (if any) is none of the inputs, and replaces no file in a folder among them.

    Raises:
        OverwriteError: it is, or does.
    """
    for path in inputs:
        if path is None or output is None:
            continue
        if (place := _place(output)) is not None and place == _place(path):
            raise OverwriteError(f"{output}: is the input {path}, which would be replaced. Give another path.")
        if output.exists() and is_folder(path) and OutputFolder(path).holds(output):
            raise OverwriteError(
                f"{output}: is a file of the input {path}, which would be replaced. Give another path, or "
                "delete it first."
            )


def check_holds_none(directory: Path, inputs: Iterable[Path | None]) -> None:
    """Check that none of the inputs is in a directory that is to be replaced as a whole.

    Raises:
        OverwriteError: one is.
    """
    place = OutputFolder(directory)
    for path in inputs:
        if path is not None and exists(path) and place.holds(path):
            raise OverwriteError(
                f"{directory}: holds the input {path}, and is replaced as a whole. Give a new directory with -o."
            )


def check_replaceable(directory: Path, kind: str, *, alike: Callable[[Path], bool], names: Collection[str]) -> None:
    """Check that a directory may be replaced as a whole: it is new, empty, or of the same kind without other files.

    `alike` tells whether a directory is of this kind, and `names` are those that one of this kind may hold.

    Raises:
        OverwriteError: a file is there, or a directory of another kind, or with other files.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise OverwriteError(
            f"{directory}: is a file, and {kind} is written as a directory. Give a new directory with -o."
        )
    found = [path.name for path in directory.iterdir() if not path.name.endswith((FILE_ENDING, FOLDER_ENDING))]
    if found and not alike(directory):
        raise OverwriteError(
            f"{directory}: holds other files, and {kind} is written as a whole directory. Give a new directory with -o."
        )
    if others := sorted(set(found) - {*names, *_OF_SYSTEMS}):
        raise OverwriteError(
            f"{directory}: holds {others[0]} besides {kind}, and is replaced as a whole. Move it to another place, or "
            "give a new directory with -o."
        )


def _place(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None: nothing, or it cannot be told."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
