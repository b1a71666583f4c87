"""How many processes a command may start, and when they end."""

import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from ahs_seg.io.folder_lock import FolderInUseError, locked
from ahs_seg.io.processes import MAX_PROCESSES, ProcessCountError, check_processes, run_in_processes
from tests.support.forks import forked
from tests.support.long_work import SECONDS, held, killed


@pytest.mark.parametrize("count", [0, -1, MAX_PROCESSES + 1, 10**9])
def test_absurd_numbers_are_refused_with_the_range(count: int) -> None:
    with pytest.raises(ProcessCountError, match=rf"--processes: {count} is not allowed; give 1 to 256\."):
        check_processes(count, "--processes")


def test_others_are_given_back() -> None:
    assert [check_processes(count, "--processes") for count in (1, MAX_PROCESSES)] == [1, MAX_PROCESSES]


def test_results_come_in_the_order_of_their_numbers() -> None:
    assert run_in_processes(abs, 3) == [0, 1, 2]


@pytest.mark.parametrize(("work", "error"), [(held, LookupError), (killed, BrokenProcessPool)])
def test_a_process_that_fails_or_is_killed_ends_the_others(work, error, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(error):
        run_in_processes(partial(work, tmp_path) if work is held else work, 2)
    assert time.monotonic() - began < SECONDS
    with locked(tmp_path / "0"):
        pass


def test_the_processes_of_one_that_is_killed_end(tmp_path: Path) -> None:
    process = forked(lambda: run_in_processes(partial(held, tmp_path), 1))
    wait_until(lambda: (tmp_path / "0.held").exists())
    process.kill()
    process.join()
    wait_until(lambda: free(tmp_path / "0"))


def free(folder: Path) -> bool:
    try:
        with locked(folder):
            return True
    except FolderInUseError:
        return False


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)
