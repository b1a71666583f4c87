"""The driver of all parts: a case is a call that runs in a process of its own, watched and limited, and is judged.

The processes are forked from one that has imported everything (`warm`), so a case costs a fork, not an import.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, Literal

from ahs_seg.cli import main
from ahs_seg.errors import AhsSegError
from tests.campaign.witness import MIB, OWN, changed, events_of, memory, state, watch, without_peak

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.campaign.warm"])

SECONDS: Final = 60
"""Seconds of processor time after which a case hangs; so judged, it does not matter what else the machine does."""
PATIENCE: Final = 5
"""A case that waits for something hangs after this many times `SECONDS` on the clock."""
PEAK_MIB: Final = 1024
"""Peak memory of a case beyond that of the process at its start, unless the case is about something larger."""
_END_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux: no case outlives the tests."""
_HEADROOM: Final = 2 * 2**30
"""Address space beyond twice the allowed peak: stacks of threads and arenas of the allocator are not memory."""

Kind = Literal["done", "partial", "refused", "traceback", "crash", "hang", "killed"]

_STATUS: Final[dict[object, Kind]] = {None: "done", 0: "done", 1: "partial", 2: "refused", 130: "refused"}


@dataclass(frozen=True)
class Limits:
    """What a case may use; `more` are further limits of `resource` by name, such as RLIMIT_NOFILE."""

    seconds: float = SECONDS
    peak_mib: int = PEAK_MIB
    more: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """How a case ended; `message` is what it wrote, `events` are the forbidden things it did.

    `seconds` are those of the processor, `peak_mib` is beyond the memory at the start.
    """

    name: str
    kind: Kind
    message: str = ""
    seconds: float = 0.0
    peak_mib: float = 0.0
    events: tuple[str, ...] = ()
    allowed_mib: int = PEAK_MIB

    @property
    def faults(self) -> list[str]:
        """What breaks a promise, in words; empty if all is well."""
        found = [f"{self.name}: {event}" for event in self.events]
        if self.kind in ("traceback", "crash", "hang"):
            found.append(f"{self.name}: {self.kind}: {self.message[-1500:]}")
        if "there is not enough memory" in self.message:
            found.append(f"{self.name}: asks for more memory than {2 * self.allowed_mib} MiB")
        if self.peak_mib > self.allowed_mib:
            found.append(f"{self.name}: peak of {self.peak_mib:.0f} MiB where {self.allowed_mib} are allowed")
        return found


def command(*words: str) -> None:
    """A command as a user types it."""
    sys.argv = ["ahs-seg", *words]
    main()


def judge(name: str, folder: Path, call: Callable[..., object], *words: str, limits: Limits = Limits()) -> Verdict:
    """How `call(*words)` ends, run with `folder/inside` as its working directory; nothing else may change."""
    started = start(folder, call, *words, limits=limits)
    started.process.join(PATIENCE * limits.seconds)
    hangs = started.process.is_alive()
    end(started.process)
    hangs = hangs or started.process.exitcode == -signal.SIGXCPU
    found = started.verdict(name)
    return replace(found, kind="hang", seconds=limits.seconds) if hangs else found


@dataclass(frozen=True)
class Started:
    """A running case, its folder, and what lay beside its folder before."""

    process: ForkServerProcess
    folder: Path
    before: dict[str, tuple[int, int]]
    limits: Limits

    def verdict(self, name: str) -> Verdict:
        """The verdict that the ended process has left, with what has changed beside its folder."""
        path = self.folder / "verdict.json"
        message = "".join(_text(self.folder / name) for name in ("out.txt", "log.txt"))
        message += "".join(_text(trace) for trace in self.folder.glob("inside/**/ahs-seg-error-*"))
        found: dict[str, Any] = json.loads(_text(path) or '{"kind": "crash"}')
        if "error: unexpected" in message or "Traceback (most recent call last)" in message:
            found["kind"] = "traceback"
        events = (*events_of(self.folder), *changed(self.folder, self.before))
        return Verdict(name, message=message, events=events, allowed_mib=self.limits.peak_mib, **found)


def start(folder: Path, call: Callable[..., object], *words: str, limits: Limits = Limits()) -> Started:
    """The running process of a case."""
    (folder / "inside" / "tmp").mkdir(parents=True, exist_ok=True)
    for name in OWN - {"inside"}:
        (folder / name).unlink(missing_ok=True)
    before = state(folder)
    process = CONTEXT.Process(target=_run, args=(folder, call, words, limits))
    process.start()
    return Started(process, folder, before, limits)


def end(process: ForkServerProcess) -> None:
    """Kill a process and those that it started, as the end of a machine does."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _run(folder: Path, call: Callable[..., object], words: tuple[str, ...], limits: Limits) -> None:
    """The whole life of the process of a case."""
    os.setsid()
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    _surround(folder, limits)
    with (folder / "verdict.json").open("w", encoding="utf-8") as file:
        without_peak()
        before, began = memory(), time.process_time()
        watch(folder)
        kind = _ended(call, words)
        sys.stdout.flush()
        seconds = time.process_time() - began
        json.dump({"kind": kind, "seconds": seconds, "peak_mib": memory(peak=True) - before}, file)
    os._exit(0)


def _surround(folder: Path, limits: Limits) -> None:
    """Give a process its working directory, its log, its environment and its limits."""
    inside = folder / "inside"
    for stream, name in enumerate(("out.txt", "log.txt"), start=1):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    os.chdir(inside)
    for name, value in (_usual(inside) | limits.environment).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    tempfile.tempdir = None  # it was chosen by the process that all are forked from
    space = int(memory(virtual=True)) * MIB + 2 * limits.peak_mib * MIB + _HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (round(limits.seconds), resource.RLIM_INFINITY))
    for name, value in limits.more.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def _usual(inside: Path) -> dict[str, str | None]:
    return {"HOME": str(inside), "XDG_CACHE_HOME": None, "TMPDIR": str(inside / "tmp")}


def _ended(call: Callable[..., object], words: tuple[str, ...]) -> Kind:
    try:
        call(*words)
    except SystemExit as stop:
        return _STATUS.get(stop.code, "traceback")
    except AhsSegError as error:
        print(f"error: {error}")
        return "refused"
    except BaseException:  # noqa: BLE001  # what a case raises is its verdict
        traceback.print_exc()
        return "traceback"
    return "done"
