"""The folder in which this package keeps what it downloads and imports, for all of a user's projects."""

from __future__ import annotations

import os
from pathlib import Path

from ahs_seg.errors import CheckpointError

FOLDER = "ahs-seg"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/ahs-seg`, or `~/.cache/ahs-seg`; it need not exist.

    A relative `XDG_CACHE_HOME` is ignored, as the XDG Base Directory Specification says.

    Raises:
        CheckpointError: the user has no home folder, and `XDG_CACHE_HOME` is not set.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named and Path(named).is_absolute():
        return Path(named) / FOLDER
    try:
        return Path.home() / ".cache" / FOLDER
    except RuntimeError:
        raise CheckpointError(
            "this user has no home folder in which downloads could be kept; set XDG_CACHE_HOME to a folder."
        ) from None
