"""Machines that fail a run: a full or read-only disk, folders that vanish, few open files, no home, no Unicode."""

from __future__ import annotations

import locale
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaign.driver import command


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at a folder, in memory; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


def remount(folder: Path, options: str) -> None:
    """Change the size of a disk, or make it read-only."""
    _run("mount", "-o", f"remount,{options}", str(folder))


def can_mount(folder: Path) -> bool:
    """Whether this process may mount file systems."""
    try:
        with disk(folder, "1m"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def without_unicode(*words: str) -> None:
    """A command in the locale C, with outputs that take ASCII alone."""
    os.environ["LC_ALL"] = "C"
    locale.setlocale(locale.LC_ALL, "C")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii", errors="surrogateescape")
    command(*words)


def unheard(*words: str) -> None:
    """A command whose output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    sys.stdout = os.fdopen(os.dup2(writer, 1), "w")
    sys.__stdout__ = sys.stdout  # type: ignore[misc]  # as in a process that was started with this pipe
    command(*words)


def interrupted(*words: str) -> None:
    """A command that is interrupted (Ctrl-C) once its first result is there."""
    child = os.fork()
    if child == 0:
        _wait_for(Path("out"))
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    command(*words)


def robbed(lost: str, *words: str) -> None:
    """A command one of whose folders is removed once its first result is there."""
    child = os.fork()
    if child == 0:
        _wait_for(Path("out"))
        shutil.rmtree(lost, ignore_errors=True)
        os._exit(0)
    command(*words)


def _wait_for(folder: Path) -> None:
    patience = time.monotonic() + 60
    while not list(folder.glob("*.png")) and time.monotonic() < patience:
        time.sleep(0.002)
