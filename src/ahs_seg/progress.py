"""A progress bar with rate and time left; plain lines now and then where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
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
        if not self._shown:
            yield from items
            return
        began = said = time.monotonic()
        with self._bar() as bar:
            task = bar.add_task(self._description, total=len(items), note="")
            for done, item in enumerate(items, start=1):
                yield item
                now = time.monotonic()
                rate = done / max(now - began, 1e-9)
                note = f"{rate:.3g} {self._unit}/s"
                bar.update(task, completed=done, note=note)
                if bar.disable and (now - said > QUIET_SECONDS or done == len(items)):
                    said = now
                    left = (len(items) - done) / rate
                    self.say(f"{self._description} {done}/{len(items)}: {note}, {left:.0f} s left")

    def say(self, text: str) -> None:
        """Print a line, unless nothing is shown."""
        if self._shown:
            self._console.print(text, highlight=False, markup=False)

    def _bar(self) -> Progress:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
        left = (TextColumn("left"), TimeRemainingColumn())
        text = TextColumn("{task.description}")
        return Progress(text, *columns, *left, console=self._console, disable=not self._console.is_terminal)
