"""Threads beside the forward: order, bounds, errors, and nothing left running."""

import threading
import time
from functools import partial

import pytest

from ahs_seg.batch.threads import Background, Writers

pytestmark = pytest.mark.usefixtures("no_thread_stays")


def test_background_waits_until_items_are_taken():
    made = []

    def items():
        for index in range(100):
            made.append(index)
            yield index

    with Background(items(), ahead=2) as ready:
        assert next(ready) == 0
        time.sleep(0.05)
        assert len(made) <= 5
        assert list(ready) == list(range(1, 100))


def test_background_hands_on_errors_and_can_be_left_early():
    def items():
        yield 1
        raise OSError("disk")

    with Background(items(), ahead=2) as ready:
        assert next(ready) == 1
        with pytest.raises(OSError, match="disk"):
            next(ready)
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    with Background(endless(), ahead=1) as ready:
        next(ready)
    assert closed == [True]


def test_writers_hold_back_and_finish():
    active, most, lock, written = 0, 0, threading.Lock(), []

    def work(index):
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.002)
        with lock:
            active -= 1
            written.append(index)

    with Writers(workers=2, behind=3) as writers:
        for index in range(12):
            writers.submit(partial(work, index))
            assert index + 1 - len(written) <= 3
    assert sorted(written) == list(range(12))
    assert most == 2


def test_writers_raise_the_first_error():
    def fail():
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Writers(workers=1, behind=2) as writers:
        writers.submit(fail)
    with Writers(workers=1, behind=1) as writers:
        writers.submit(fail)
        with pytest.raises(OSError, match="full"):
            writers.submit(fail)
        writers._error = None
