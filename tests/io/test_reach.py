"""What is at a path, where the file system tells it and where not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ahs_seg.io.reach import exists, from_home, is_file, is_folder, is_link, why_unknown
from tests.support.locked import lock


@pytest.mark.parametrize(("code", "reason"), [(errno.EACCES, "Permission denied"), (errno.EIO, "Input/output error")])
def test_what_the_file_system_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    (path := tmp_path / "locked" / "a.png").parent.mkdir()
    path.touch()
    (link := tmp_path / "link").symlink_to(path)
    assert (is_file(path), exists(path), is_folder(path.parent), why_unknown(path)) == (True, True, True, None)
    lock(path.parent, monkeypatch, code)
    assert not any(ask(path) for ask in (is_file, exists, is_folder, is_link))
    assert is_file(path, unknown=True)
    assert exists(path, unknown=True)
    assert why_unknown(path) == reason
    assert is_link(link)
    assert is_folder(path.parent)


def test_nothing_is_there(tmp_path: Path) -> None:
    assert not is_file(tmp_path / "a.png", unknown=True)
    assert not exists(tmp_path / "a.png", unknown=True)
    assert why_unknown(tmp_path / "a.png") is None


def test_paths_from_the_folder_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME" if os.name == "posix" else "USERPROFILE", "/home/ada")
    assert from_home("~/a.txt") == Path("/home/ada/a.txt")
    for written in ("~no-such-user/a.txt", "a/~", "~no-such-user, cat"):
        assert from_home(written) == from_home(Path(written)) == Path(written)
