"""Folders that may be listed but not entered; permissions do not stop the user root, as whom tests may run."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest


def lock(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = errno.EACCES) -> None:
    """From now on the file system tells nothing about what lies in a folder."""

    def refusing(real: Callable[..., Any], path: Any, *words: Any, **options: Any) -> Any:
        if isinstance(path, str | Path) and folder in Path(path).absolute().parents:
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *words, **options)

    monkeypatch.setattr(os, "stat", partial(refusing, os.stat))
    monkeypatch.setattr(os, "lstat", partial(refusing, os.lstat))
    monkeypatch.setattr(io, "open", partial(refusing, io.open))
