"""A progress bar with rate and time left; plain lines now and then where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

QUIET_SECONDS: Final = 15.0
"""Time between two lines where the output is not a terminal."""

T = TypeVar("T")


class Track:
    """Iterates over items and shows on standard error how far it is; `say` prints a line above the bar."""

    def __init__(self, description: str, *, unit: str = "images", shown: bool = True) -> None:
        self._description = description
        self._unit = unit
        self._shown = shown
        self._console = Console(stderr=True)

    def __call__(self, items: Sequence[T]) -> Iterator[T]:
        """The items one by one."""
        with self.counting(len(items)) as count:
            for item in items:
                yield item
                count()

    @contextmanager
    def counting(self, total: int | None) -> Iterator[Callable[[], None]]:
        """A function to call after each of `total` items (None: not known), from one thread at a time."""
        if not self._shown:
            yield lambda: None
            return
        began = said = time.monotonic()
        done = 0
        with self._bar() as bar:
            task = bar.add_task(self._description, total=total, note="")

            def count() -> None:
                nonlocal done, said
                done += 1
                now = time.monotonic()
                rate = done / max(now - began, 1e-9)
                note = f"{rate:.3g} {self._unit}/s"
                bar.update(task, completed=done, note=note)
                if bar.disable and (now - said > QUIET_SECONDS or done == total):
                    said = now
                    of = "" if total is None else f"/{total}"
                    left = "" if total is None else f", {max(0, total - done) / rate:.0f} s left"
                    self.say(f"{self._description} {done}{of}: {note}{left}")

            yield count

    def say(self, text: str) -> None:
        """Print a line, unless nothing is shown."""
        if self._shown:
            self._console.print(text, highlight=False, markup=False)

    def _bar(self) -> Progress:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
        left = (TextColumn("left"), TimeRemainingColumn())
        text = TextColumn("{task.description}")
        return Progress(text, *columns, *left, console=self._console, disable=not self._console.is_terminal)
