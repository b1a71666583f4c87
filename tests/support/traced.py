"""A bound on what Python and numpy allocate inside a block, without a process of its own."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def allocating_at_most(limit: int) -> Iterator[None]:
    """Fail if the block, whether it raises or not, holds more than `limit` bytes at any moment."""
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= limit, f"{peak:,} bytes were allocated, allowed are {limit:,}"
