from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ahs_seg.io.atomic import read_together, replacing_directory, replacing_file, unsynced_path, write_bytes, write_text


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


def test_many_files_need_not_wait_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("waited for the disk"))
    with unsynced_path(tmp_path / "new" / "a.bin") as draft:
        draft.write_bytes(b"whole")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"whole"


def write_directory(target: Path, content: str) -> None:
    with replacing_directory(target) as draft:
        (draft / "inner").mkdir()
        (draft / "inner" / "a.txt").write_text(content)


def test_a_directory_is_replaced_whole(tmp_path):
    target = tmp_path / "new" / "model"
    write_directory(target, "old")
    (target / "left over").touch()
    write_directory(target, "new")
    assert [path.relative_to(target.parent).as_posix() for path in sorted(target.parent.rglob("*"))] == [
        "model",
        "model/inner",
        "model/inner/a.txt",
    ]
    assert (target / "inner" / "a.txt").read_text() == "new"


def test_a_directory_can_be_read_by_those_whom_the_process_lets_read(tmp_path):
    (plain := tmp_path / "plain").mkdir()
    write_directory(tmp_path / "model", "new")
    assert (tmp_path / "model").stat().st_mode == plain.stat().st_mode


def test_a_directory_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ahs_seg.io.drafts._exchange", lambda *_: False)
    target = tmp_path / "model"
    write_directory(target, "old")
    replace, calls = Path.replace, []

    def second_fails(path: Path, other: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("disk full")
        return replace(path, other)

    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(OSError, match="disk full"):
        write_directory(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "inner" / "a.txt").read_text() == "old"


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 199 + "ü" * 20])
def test_drafts_of_long_names_fit(tmp_path, name):
    write_text(tmp_path / name, "content")
    with replacing_directory(tmp_path / f"{name[1:]}") as draft:
        (draft / "file").write_text("content")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, name[1:]])


def test_every_file_of_a_directory_can_be_read_by_those_whom_the_umask_lets_read(tmp_path):
    (plain := tmp_path / "plain").touch()
    with replacing_directory(tmp_path / "model") as draft:
        save_file({"a": torch.ones(1)}, draft / "model.safetensors")
        (draft / "backbone").mkdir(mode=0o700)
        (draft / "backbone" / "config.json").touch(mode=0o600)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").rglob("*")}
    readable = plain.stat().st_mode & 0o777
    assert modes["model.safetensors"] == modes["config.json"] == readable
    assert modes["backbone"] == (tmp_path / "model").stat().st_mode & 0o777 == 0o777 & ~(0o666 ^ readable)


def test_a_link_to_a_directory_stays_a_link(tmp_path):
    write_directory(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write_directory(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "inner" / "a.txt").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_files_of_two_states_are_never_mixed(tmp_path):
    target = tmp_path / "model"
    write_directory(target, "0")
    reads: list[str] = []

    def read() -> tuple[str, str]:
        first = (target / "inner" / "a.txt").read_text()
        if len(reads) < 3:  # replaced between the two files
            write_directory(target, str(len(reads) + 1))
        reads.append(first)
        return first, (target / "inner" / "a.txt").read_text()

    assert read_together(target, read) == ("3", "3")
    assert reads == ["0", "1", "2", "3"]


def test_an_error_of_a_directory_that_nobody_replaces_is_raised(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_together(tmp_path, (tmp_path / "nothing").read_bytes)


def test_a_directory_takes_no_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(NotADirectoryError, match="is a file"), replacing_directory(tmp_path / "thesis"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]
    assert (tmp_path / "thesis").read_text() == "years of work"


def test_a_drive_that_knows_no_permissions_and_cannot_sync_folders_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    def refused(path: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr(os, "fsync", files_only)
    monkeypatch.setattr(Path, "chmod", refused)
    write_text(tmp_path / "a.txt", "whole")
    write_directory(tmp_path / "model", "whole")
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "model" / "inner" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("kind", [stat.S_ISDIR, stat.S_ISREG])
def test_what_cannot_be_brought_to_the_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable[[int], bool]
) -> None:
    def damaged(descriptor: int) -> None:
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", damaged)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_directory(tmp_path / "model", "new")
    assert list(tmp_path.iterdir()) == []
