"""What a user should know about a class list, each said once; those of a request can be collected as well."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final

logger = logging.getLogger(__name__)

_COLLECTED: Final[ContextVar[list[str] | None]] = ContextVar("collected notices", default=None)


class Notice:
    """Logs a warning, unless it was logged before; contexts of `collected_notices` get it at every call."""

    def __init__(self) -> None:
        self._log = lru_cache(maxsize=1000)(lambda text: logger.warning("%s", text))

    def __call__(self, text: str) -> None:
        """Say a text."""
        collect_notice(text)
        self._log(text)

    def cache_clear(self) -> None:
        """Forget what was logged."""
        self._log.cache_clear()


notice: Final = Notice()
"""Logs a warning once."""


@contextmanager
def collected_notices() -> Iterator[list[str]]:
    """Context that yields the list of what is noticed in it and in this thread, also if it was logged before."""
    found: list[str] = []
    outer = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(outer)


def collect_notice(text: str) -> None:
    """Add a text to the list of the surrounding `collected_notices`, if there is one, without logging it."""
    found = _COLLECTED.get()
    if found is not None and text not in found:
        found.append(text)
