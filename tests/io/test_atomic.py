from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ahs_seg.io.atomic import replacing_file, write_bytes, write_text


def test_content_replaces_content_and_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "grün")
    write_text(path, "blau")
    assert path.read_text(encoding="utf-8") == "blau"
    assert [entry.name for entry in path.parent.iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_threads_that_write_at_once_leave_the_process_as_it_was(tmp_path):
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda index: write_text(tmp_path / f"{index % 5}.txt", "x" * index), range(200)))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{index}.txt" for index in range(5)]
    assert (tmp_path / "0.txt").stat().st_mode & 0o777 == 0o666 & ~before


def test_a_draft_that_fails_leaves_nothing(tmp_path):
    def interrupted() -> None:
        with replacing_file(tmp_path / "a.bin") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
