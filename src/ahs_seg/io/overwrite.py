"""Outputs never land on inputs: places are compared by what the file system says, not by their spelling.

Links, `..`, relative paths, another case on a file system that ignores it: two paths are the same place if device and
inode are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ahs_seg.errors import AhsSegError
from ahs_seg.io.reach import is_link


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
        return self._below(path.parent.resolve() / path.name) or (is_link(path) and self._below(_target(path)))

    def _below(self, path: Path) -> bool:
        return self.is_at(path) or self._inside(path.parent)

    def _inside(self, folder: Path) -> bool:
        if folder not in self._known:
            self._known[folder] = self.is_at(folder) or (folder != folder.parent and self._inside(folder.parent))
        return self._known[folder]


def check_output_file(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Check that a file to write (if any) is none of the inputs, and replaces no file in a folder among them.

    Raises:
        OverwriteError: it is, or does.
    """
    for path in inputs:
        if path is None or output is None:
            continue
        if _same_file(output, path):
            raise OverwriteError(f"{output}: is the input {path}, which would be replaced. Give another path.")
        if output.exists() and path.is_dir() and OutputFolder(path).holds(output):
            raise OverwriteError(
                f"{output}: is a file of the input {path}, which would be replaced. Give another path, or "
                "delete it first."
            )


def check_replaceable(directory: Path, kind: str, *, needs: str, inputs: Iterable[Path | None] = ()) -> None:
    """Check that a directory may be replaced as a whole: it is new, empty, or of the same kind, and holds no input.

    `needs` is the name of a file that every directory of this kind has.

    Raises:
        OverwriteError: it holds an input or other files.
    """
    place = OutputFolder(directory)
    for path in inputs:
        if path is not None and path.exists() and place.holds(path):
            raise OverwriteError(
                f"{directory}: holds the input {path}, and is replaced as a whole. Give a new directory with -o."
            )
    if directory.is_dir() and not (directory / needs).is_file() and any(directory.iterdir()):
        raise OverwriteError(
            f"{directory}: holds other files, and {kind} is written as a whole directory. Give a new directory with -o."
        )


def _place(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None: nothing, or it cannot be told."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _same_file(first: Path, second: Path) -> bool:
    place = _place(first)
    return place is not None and place == _place(second)


def _target(link: Path) -> Path:
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return link
