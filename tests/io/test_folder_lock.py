"""The lock of an output folder: one run at a time, and none after a crash."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ahs_seg.io.folder_lock import FOLDER, FolderInUseError, locked
from ahs_seg.io.overwrite import OverwriteError


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


def _hold(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    with locked(folder):
        ready.set()
        signal.pause()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(10)
    with pytest.raises(FolderInUseError, match=f"process {process.pid} on"), locked(tmp_path):
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with locked(tmp_path):
        pass
