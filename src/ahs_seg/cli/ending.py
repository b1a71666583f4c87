"""How commands end: the exit status, and one message for whatever a command raises."""

from __future__ import annotations

import errno
import io
import logging
import os
import select
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

from ahs_seg.cli.output import PACKAGE, say_error
from ahs_seg.errors import AhsSegError, RunInterrupted, chain_of, is_disk_full
from ahs_seg.io.outside_text import PrintableFormatter

FAILED: Final = 2
INTERRUPTED: Final = 130
ISSUES: Final = "https://github.com/ahs-seg/ahs-seg/issues"
DEBUG: Final = "AHS_SEG_DEBUG"
"""Environment variable that shows the trace of an error; so does --verbose."""

_REMEDIES: Final = {
    errno.EMFILE: "This process may open too few files; raise the limit with `ulimit -n 1024`.",
    errno.ENFILE: "The machine has too many open files; end other programs.",
    errno.EACCES: "Change the permissions, or choose another place.",
    errno.EPERM: "Change the permissions, or choose another place.",
    errno.EROFS: "Choose a place that can be written.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def status_of(command: Callable[[], object]) -> int:
    """Run a command to its end and return its exit status; what it raises becomes one message on standard error.

    0: done. 1: done, but some items failed, or a check found faults. 2: the command could not do its work.
    130: interrupted.
    """
    try:
        command()
        sys.stdout.flush()
    except SystemExit as end:
        hidden = _swallowed(end)
        return _status(end) if hidden is None else _ended_by(hidden)
    except BaseException as error:  # noqa: BLE001  # the last place where it can become a message
        return _ended_by(error)
    return 0


def _ended_by(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError) and _stdout_is_closed():
        return 1
    if os.environ.get(DEBUG) or logging.getLogger(PACKAGE).isEnabledFor(logging.DEBUG):
        say_error("".join(traceback.format_exception(error)))
    say_error(message_of(error))
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED


def message_of(error: BaseException) -> str:
    """The message for what ended a command; the trace of an error that nobody expected is written to a file."""
    if isinstance(error, RunInterrupted):
        return f"interrupted {error}"
    if isinstance(error, KeyboardInterrupt):
        return (
            "interrupted. Results that were complete are kept; a command with --resume or --journal goes on from there "
            "if it is given again with it."
        )
    if is_disk_full(error):
        place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return (
            f"error: the disk is full{place}. Results that were complete are kept. Free some space, or choose another "
            "disk with --output; caches can move with HF_HOME and TMPDIR."
        )
    if isinstance(error, AhsSegError):
        return f"error: {error}"
    if isinstance(error, MemoryError):
        return "error: there is not enough memory. Use smaller images or batches, fewer classes or processes."
    if isinstance(error, OSError) and error.errno is not None:
        return " ".join(filter(None, [f"error: {_described(error)}.", _REMEDIES.get(error.errno)]))
    return _unexpected(error)


def _described(error: OSError) -> str:
    names = " -> ".join(repr(str(name)) for name in (error.filename, error.filename2) if name is not None)
    return f"{error.strerror or error}: {names}" if names else str(error.strerror or error)


def _unexpected(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    summary = f"error: unexpected {type(error).__name__}" + (f": {lines[0][:200]}" if lines else "")
    from ahs_seg.io.atomic import write_text  # here, since it takes its time to import

    trace = f"ahs-seg {metadata.version('ahs-seg')}, Python {sys.version}\n{' '.join(sys.argv)}\n\n"
    trace += "".join(traceback.format_exception(error))
    try:
        file = Path(tempfile.gettempdir()) / f"ahs-seg-error-{os.getpid()}-{time.time_ns()}.txt"
        write_text(file, trace)
    except OSError as why:
        return f"{summary}. The trace could not be written to a file ({why}); {DEBUG}=1 shows it."
    return (
        f"{summary}. This is a fault of ahs-seg: please report it at {ISSUES} with the trace in {file} "
        f"({DEBUG}=1 shows it)."
    )


def _status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    say_error(end.code)
    return 1


def prepare_streams() -> None:
    """Make the standard streams safe to use: each is open, takes any text, and shows log records in printable form.

    A closed stream would give its number to the next file that is opened, into which messages would then be printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter())


def _swallowed(end: SystemExit) -> BaseException | None:
    """The interrupt, end of input or broken pipe that typer turned into an exit status."""
    kinds = (KeyboardInterrupt, EOFError, BrokenPipeError)
    return next((one for one in chain_of(end) if isinstance(one, kinds)), None)


def _stdout_is_closed() -> bool:
    """Whether nobody reads standard output any more, as after `| head`; it then leads nowhere, so that Python ends."""
    if sys.__stdout__ is None or not hasattr(select, "poll"):
        return False
    watch = select.poll()
    watch.register(sys.__stdout__.fileno(), 0)
    if not any(state & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, state in watch.poll(0)):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno())
    os.close(nowhere)
    return True
