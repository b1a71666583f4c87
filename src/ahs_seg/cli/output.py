"""What commands print: results on standard output, everything else on standard error, nothing that a terminal obeys."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import typer

from ahs_seg.io.outside_text import printable

STDOUT, STDERR = 1, 2


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
