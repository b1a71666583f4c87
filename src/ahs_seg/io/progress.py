"""A progress bar with rate and remaining time; if the output is not a terminal, plain lines at intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ahs_seg.io.outside_text import on_one_line, printable

QUIET_SECONDS: Final = 15.0
"""Seconds between two lines if the output is not a terminal."""

BARS: Final[ContextVar[bool]] = ContextVar("bars", default=True)
"""Whether progress bars are shown at all; `--quiet` switches off those that are created from then on."""

T = TypeVar("T")


class ProgressBar:
    """Progress bar on standard error; `say` prints a line above the bar.

    Call it with a sequence to iterate over it with a bar, or use `start`, `update` and `stop`.
    """

    def __init__(
        self, description: str, *, unit: str = "images", shown: bool = True, quiet_seconds: int | float = QUIET_SECONDS
    ) -> None:
        self._description, self._unit = on_one_line(description), unit
        self._shown, self._quiet_seconds = shown and BARS.get(), quiet_seconds
        self._console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=self._console, disable=not (self._shown and self._console.is_terminal))
        self._task = self._bar.add_task(self._description, start=False, total=None, note="")
        self._total: int | None = None
        self._skipped = 0.0
        self._began = self._said = 0.0

    def __call__(self, items: Sequence[T]) -> Iterator[T]:
        """Iterate over the items and count them on the bar."""
        with self.counting(len(items)) as count:
            for item in items:
                yield item
                count()

    @contextmanager
    def counting(self, total: int | None) -> Iterator[Callable[[], None]]:
        """A function that counts one finished item out of `total` (None: not known); not safe between threads."""
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            self.update(done)

        self.start(total)
        try:
            yield count
        finally:
            self.stop()

    def start(self, total: int | None) -> None:
        """Show the bar and start to measure the time."""
        self._total = total
        self._began = self._said = time.monotonic()
        self._bar.reset(self._task, total=total, note="")
        self._bar.start()

    def skip(self, amount: int | float) -> None:
        """Count this amount of work as done by an earlier process, so that it does not enter the rate."""
        self._skipped += amount

    def update(self, done: int | float, note: str = "") -> None:
        """Show the amount of finished work, and a note in front of the rate."""
        if not self._shown:
            return
        now = time.monotonic()
        rate = (done - self._skipped) / max(now - self._began, 1e-9)
        amount = _number(done) if self._total is None else f"{_number(done)}/{_number(self._total)}"
        details = [note, _rate(rate, self._unit)]
        if self._total is not None and rate > 0:
            details.append(f"{_duration(max(0.0, self._total - done) / rate)} left")
        text = ", ".join(filter(None, details))
        self._bar.update(self._task, completed=done, note=on_one_line(f"{amount} {text}"))
        if self._bar.disable and (now - self._said > self._quiet_seconds or done == self._total):
            self._said = now
            self.say(f"{self._description} {amount}: {text}")

    def say(self, text: str) -> None:
        """Print a line, unless the bar is hidden (`shown=False`)."""
        if self._shown:
            self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Stop updating the bar, and leave it on the terminal."""
        self._bar.stop()


def _number(value: int | float) -> str:
    return f"{value:.1f}" if value % 1 else f"{value:.0f}"


def _rate(per_second: float, unit: str) -> str:
    """The rate per second, or per hour if one item takes more than a minute."""
    return f"{per_second:.3g} {unit}/s" if per_second >= 1 / 60 else f"{3600 * per_second:.3g} {unit}/h"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
