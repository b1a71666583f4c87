"""A check that a test leaves no thread running."""

import threading
import time
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_thread_stays() -> Iterator[None]:
    """Fails if more threads run after the test than before; they have five seconds to end."""
    before = threading.active_count()
    yield
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
