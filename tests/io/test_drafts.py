"""A directory changes places in one step, and what killed writers left goes with the next write."""

import errno
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ahs_seg.io.atomic import replacing_directory
from ahs_seg.io.drafts import FOLDER_ENDING, claimed_draft
from tests.support.forks import forked


def write(target: Path, content: str) -> None:
    with replacing_directory(target) as draft:
        (draft / "a.txt").write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def missing_while_replaced(target: Path) -> int:
    """How often a reader that never stops finds no file, while the directory is replaced again and again."""
    write(target, "0")
    done, missed = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            if not (target / "a.txt").exists():
                missed.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        write(target, str(number))
    done.set()
    reader.join()
    return len(missed)


def test_a_reader_finds_a_directory_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    assert missing_while_replaced(tmp_path / "model") == 0
    assert names(tmp_path) == ["model"]


def test_where_directories_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ahs_seg.io.drafts._exchange", lambda *_: False)
    for content in ("old", "new"):
        write(tmp_path / "model", content)
    assert (tmp_path / "model" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["model"]


@pytest.fixture
def writer(tmp_path: Path) -> multiprocessing.process.BaseProcess:
    """A process that has begun to write `model`."""
    started = multiprocessing.get_context("fork").Event()

    def work() -> None:
        with claimed_draft(tmp_path / "model") as draft:
            (draft / "weights").write_bytes(bytes(1000))
            started.set()
            signal.pause()

    process = forked(work)
    assert started.wait(60)
    return process


def test_the_draft_of_a_killed_writer_goes_and_that_of_a_live_one_stays(
    tmp_path: Path, writer: multiprocessing.process.BaseProcess
) -> None:
    try:
        write(tmp_path / "model", "mine")
        assert [name for name in names(tmp_path) if name.startswith(".model.")] != []
        write(tmp_path / "other", "another target")
    finally:
        writer.kill()
        writer.join()
    assert len(names(tmp_path)) == 3
    write(tmp_path / "model", "again")
    assert names(tmp_path) == ["model", "other"]


def test_an_old_directory_that_a_killed_writer_moved_away_comes_back(tmp_path: Path) -> None:
    (tmp_path / f".model.abcd_123{FOLDER_ENDING}.old").mkdir()
    (tmp_path / f".model.abcd_123{FOLDER_ENDING}.old" / "a.txt").write_text("old")
    (tmp_path / f".model.abcd_123{FOLDER_ENDING}").mkdir()
    with suppress(RuntimeError), replacing_directory(tmp_path / "model"):
        raise RuntimeError
    assert (tmp_path / "model" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize(
    "name",
    [
        ".model",
        ".model.txt",
        ".model.ABCD_123",
        "model.abcd_123",
        ".modelabcd_1234",
        ".model.settings",
        ".model.20261130.old",
    ],
)
def test_what_is_no_draft_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    write(tmp_path / "model", "x")
    assert names(tmp_path) == sorted([name, "model"])


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 127)
    for content in ("old", "new"):
        write(target, content)
    assert (target / "a.txt").read_text() == "new"
    assert names(tmp_path) == [target.name]


def test_a_draft_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, real = tmp_path / f".model.abcd_123{FOLDER_ENDING}", os.open
    theirs.mkdir()

    def refusing(path: Path, flags: int, *words: int, **options: int) -> int:
        if path == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *words, **options)

    monkeypatch.setattr(os, "open", refusing)
    write(tmp_path / "model", "mine")
    assert names(tmp_path) == [theirs.name, "model"]
