"""Peak memory and time of a call, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tests.support.forks import forked

MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """What a call took beyond what the process had before: seconds and MiB; `error` is its exception as text."""

    seconds: float
    mib: float
    error: str


def peak_bytes(work: Callable[[], object]) -> int:
    """By how many bytes `work` raises the peak memory of a process that has done nothing else (a forked child)."""
    cost = cost_of(work, limit_mib=64 * 1024)
    assert not cost.error, cost.error
    return round(cost.mib * MIB)


def cost_of(call: Callable[[], object], *, limit_mib: int = 2_048, seconds: float = 60) -> Cost:
    """The cost of a call in a forked process, which may map `limit_mib` more than it has and run `seconds`.

    An exception of the call is an ordinary end. Raises `AssertionError` if the process runs out of time or is killed.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = forked(lambda: _measured(call, limit_mib, theirs))
    theirs.close()
    try:
        assert ours.poll(seconds), f"still running after {seconds} s"
        result: Cost = ours.recv()
    except EOFError:
        raise AssertionError(f"the process ended with code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    return result


def _measured(call: Callable[[], object], limit_mib: int, answer: Connection) -> None:
    before, mapped = _status("VmRSS"), _status("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (round((mapped + limit_mib) * MIB), resource.RLIM_INFINITY))
    _reset_peak()
    began, error = time.monotonic(), ""
    try:
        call()
    except Exception as raised:  # noqa: BLE001  # the caller compares it
        error = f"{type(raised).__name__}: {raised}"[:4_000]
    answer.send(Cost(time.monotonic() - began, _status("VmHWM") - before, error))


def _reset_peak() -> None:
    """Forget the peak of the parent, which a fork inherits."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123  # a switch of the kernel, not a file
        file.write("5")


def _status(key: str) -> float:
    """A value of `/proc/self/status` in MiB."""
    with open("/proc/self/status") as file:  # noqa: PTH123  # a table of the kernel, not a file
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(f"{key}:"))
