"""What is at a path, also where the file system does not tell.

`Path.is_file` and its like raise an error for a path in a folder that may be listed but not entered, or on a network
drive that is gone. A search through folders goes on without that file, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def is_file(path: Path, *, unknown: bool = False) -> bool:
    """Whether a file is at a path; `unknown` if that cannot be told."""
    return _told(path.is_file, unknown)


def is_folder(path: Path) -> bool:
    """Whether a folder is at a path; False if that cannot be told."""
    return _told(path.is_dir, False)


def is_link(path: Path) -> bool:
    """Whether a symbolic link is at a path; False if that cannot be told."""
    return _told(path.is_symlink, False)


def exists(path: Path, *, unknown: bool = False) -> bool:
    """Whether anything is at a path; `unknown` if that cannot be told."""
    return _told(path.exists, unknown)


def resolved(path: Path) -> Path:
    """The path with all links followed; a link that leads to itself is as written, and reading it says so."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def why_unknown(path: Path) -> str | None:
    """Why the file system does not tell what is at a path; None: it does, or nothing is there."""
    try:
        path.is_file()
    except OSError as error:
        return error.strerror or str(error)
    return None


def from_home(path: Path | str) -> Path:
    """The path with the folder of a user for `~` or `~name` at its begin; without such a user it is as written."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # that of `Path` raises an error where there is no such user


def _told(question: Callable[[], bool], unknown: bool) -> bool:
    try:
        return question()
    except OSError:
        return unknown
