"""The lock of an output folder: one run at a time, and none after a crash."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from ahs_seg.io.atomic import replacing_file
from ahs_seg.io.folder_lock import FOLDER, FolderInUseError, locked
from ahs_seg.io.overwrite import OverwriteError
from tests.support.forks import forked, kill_what_is_left


def test_a_second_run_is_told_who_is_writing(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        with (
            pytest.raises(
                FolderInUseError, match=rf"out: another run is writing there \(process {os.getpid()} on '.+'"
            ),
            locked(tmp_path / "out"),
        ):
            pass
        with locked(tmp_path / "other"):
            pass
        (tmp_path / "out" / FOLDER / "holder.json").write_text("[")
        with pytest.raises(FolderInUseError, match=r"is writing there\. Wait"), locked(tmp_path / "out"):
            pass
    with locked(tmp_path / "out"):
        pass


def test_a_file_is_no_output_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("image")
    for folder in (tmp_path / "a.png", tmp_path / "a.png" / "out"):
        with pytest.raises(OverwriteError, match=r"a\.png.*: is a file or lies below one"), locked(folder):
            pass
    assert (tmp_path / "a.png").read_text() == "image"


def started(write: Callable[[], AbstractContextManager[object]]) -> BaseProcess:
    """A process that has entered the block and stays in it until it is killed."""
    ready = multiprocessing.get_context("fork").Event()

    def work() -> None:
        with write():
            ready.set()
            signal.pause()

    process = forked(work)
    assert ready.wait(60)
    return process


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = started(lambda: locked(tmp_path))
    with pytest.raises(FolderInUseError, match=f"process {process.pid} on"), locked(tmp_path):
        pass
    process.kill()
    process.join()
    for expected in (True, False):  # the second time it is the run above that held it last
        with locked(tmp_path) as killed:
            assert killed is expected


@contextmanager
def _half_written(folder: Path) -> Iterator[None]:
    with locked(folder), replacing_file(folder / "png" / "a.png") as file:
        file.write(b"half")
        yield


def test_drafts_of_a_killed_run_go_with_the_next_run(tmp_path: Path) -> None:
    process = started(lambda: _half_written(tmp_path))
    process.kill()
    process.join()
    (draft,) = (tmp_path / "png").iterdir()
    for name in (".a.png.settings", "a.png"):
        (tmp_path / name).write_text("of the user")
    with locked(tmp_path / "other"), replacing_file(tmp_path / "other" / "b.png"):
        others = sorted((tmp_path / "other").iterdir())
        with locked(tmp_path):
            assert not draft.exists()
            assert sorted((tmp_path / "other").iterdir()) == others  # another run is writing there
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [".a.png.settings", "a.png"]


def test_forks_that_are_left_do_not_outlive_the_tests() -> None:
    child = forked(signal.pause)
    kill_what_is_left()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
