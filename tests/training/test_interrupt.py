"""The first Ctrl-C is a request, the second one an end."""

import os
import signal
import threading

import pytest

from ahs_seg.training.interrupt import StopRequest, ignore_interrupts, stopping_on_interrupt


@pytest.fixture(autouse=True)
def handler():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_one_asks_and_the_second_one_ends() -> None:
    said: list[str] = []
    with stopping_on_interrupt(said.append) as request:
        before = request.requested
        interrupt()
        assert (before, request.requested) == (False, True)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert len(said) == 1
    assert "another Ctrl-C ends at once" in said[0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_with_its_own_way_keeps_it() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    with stopping_on_interrupt(print) as request:
        interrupt()
    assert seen == [signal.SIGINT]
    assert not request.requested


def test_other_threads_leave_signals_alone() -> None:
    found: list[StopRequest] = []

    def work() -> None:
        with stopping_on_interrupt(print) as request:
            found.append(request)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not found[0].requested


def test_processes_that_load_images_go_on() -> None:
    ignore_interrupts(0)
    interrupt()
