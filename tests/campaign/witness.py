"""What a case has done that it must not do: programs it started, files it wrote outside its folder, memory it took."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

MIB: Final = 2**20
_EXECUTIONS: Final = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn")
_WRITES: Final = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.chmod": (0,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
"""Events of Python's audit that change the file system, and which of their arguments are paths."""
_ANYWHERE: Final = ("/dev/", "/proc/")
NOTES: Final = "events.txt"
OWN: Final = {"inside", "out.txt", "log.txt", "verdict.json", NOTES}
"""What the folder of a case holds besides bystanders, which must stay as they are."""


def watch(folder: Path) -> None:
    """Note from now on what this process must not do; `folder/inside` is the only folder it may write to."""
    root = os.path.realpath(folder / "inside")
    notes = os.open(folder / NOTES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        for fault in _faults(event, arguments, root):
            os.write(notes, ascii(fault)[1:-1][:300].encode() + b"\n")

    sys.addaudithook(note)


def _faults(event: str, arguments: tuple[Any, ...], root: str) -> Iterator[str]:
    if event in _EXECUTIONS and (event, arguments[0]) != ("subprocess.Popen", "git"):  # git knows a result's commit
        yield f"executes: {event} {arguments[:2]}"
    elif event == "socket.connect":
        yield f"connects: {arguments[1:]}"
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        yield from _outside(event, arguments[:1], root)
    elif event in _WRITES:
        yield from _outside(event, (arguments[place] for place in _WRITES[event]), root)


def _outside(event: str, paths: Iterable[object], root: str) -> Iterator[str]:
    for path in paths:
        if not isinstance(path, str | bytes | os.PathLike):
            continue  # an open file
        where = os.path.realpath(os.fsdecode(path))
        if where != root and not where.startswith((root + os.sep, *_ANYWHERE)):
            yield f"writes outside: {event} {where}"


def events_of(folder: Path) -> tuple[str, ...]:
    """What `watch` has noted in the process of a case."""
    path = folder / NOTES
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything beside `inside`, and the names beside the folder itself."""
    beside = [path for path in folder.iterdir() if path.name not in OWN]
    paths = [*beside, *(path for each in beside for path in each.rglob("*")), *folder.parent.iterdir()]
    found = {}
    for path in paths:
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns) if path.parent != folder.parent else (0, 0)
    return found


def changed(folder: Path, before: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """What was made, changed or removed beside `inside` since `before`."""
    after = state(folder)
    names = sorted({name for name in before.keys() | after.keys() if before.get(name) != after.get(name)})
    return tuple(f"writes outside: {name}" for name in names)


def memory(*, peak: bool = False, virtual: bool = False) -> float:
    """Resident memory of this process in MiB: now, its peak, or its address space instead."""
    key = "VmHWM" if peak else "VmSize" if virtual else "VmRSS"
    text = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def without_peak() -> None:
    """Forget the peak of memory so far."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
