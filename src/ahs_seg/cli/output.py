"""What commands print: results on standard output, everything else on standard error, nothing that a terminal obeys."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final

import typer

from ahs_seg.io.outside_text import printable

STDOUT, STDERR = 1, 2
PACKAGE: Final = "ahs_seg"
"""The logger of the package."""


def say(text: object) -> None:
    """Print a text as one or more lines on standard output."""
    typer.echo(printable(str(text)))


def say_error(text: object) -> None:
    """Print a text on standard error, in red on a terminal."""
    typer.secho(printable(str(text)), fg="red", err=True)


def say_json(value: object) -> None:
    """Print one JSON document on standard output, in the encoding of that stream."""
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    typer.echo(printable(json.dumps(value, ensure_ascii=plain, indent=1)))


def set_verbosity(*, verbose: bool, quiet: bool) -> None:
    """Choose what is shown besides results and errors.

    By default warnings and progress bars; with `verbose` all messages of the package too, and the traces of errors;
    with `quiet` nothing.
    """
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(level)
    for handler in logger.handlers:
        if isinstance(handler, MessageHandler):
            logger.removeHandler(handler)
    logger.addHandler(MessageHandler())
    from ahs_seg.io.progress import BARS  # here, since it takes its time to import
    from ahs_seg.vocabulary.notices import notice

    BARS.set(not quiet)
    notice.cache_clear()


class MessageHandler(logging.Handler):
    """Handler that prints each log record as a line such as `warning: ...` on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        text = f"{record.levelname.lower()}: {self.format(record)}"
        typer.secho(printable(text), fg="yellow" if record.levelno >= logging.WARNING else None, err=True)


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """Context in which whatever other code prints to standard output goes to standard error, from C code too."""
    sys.stdout.flush()
    try:
        shared = sys.stdout.fileno() == STDOUT
    except (AttributeError, OSError, ValueError):  # captured, in a test or a notebook
        shared = False
    with redirect_stdout(sys.stderr):
        if not shared:
            yield
            return
        kept = os.dup(STDOUT)
        try:
            os.dup2(STDERR, STDOUT)
            yield
        finally:
            os.dup2(kept, STDOUT)
            os.close(kept)
