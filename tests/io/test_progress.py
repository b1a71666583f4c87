"""What a user sees of long work, where standard error is not a terminal."""

import pytest

from ahs_seg.io import progress
from ahs_seg.io.progress import ProgressBar


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_lines_come_now_and_then_and_at_the_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in ProgressBar("reading")(range(40)):
        clock.now += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "reading 16/40: 1 images/s, 24 s left",
        "reading 32/40: 1 images/s, 8 s left",
        "reading 40/40: 1 images/s, 0 s left",
    ]


def test_what_was_done_before_does_not_count_for_the_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("training", unit="steps", quiet_seconds=0)
    bar.start(1000)
    bar.skip(900)
    clock.now += 10
    bar.update(905, "loss 0.1")
    bar.stop()
    assert capsys.readouterr().err == "training 905/1000: loss 0.1, 0.5 steps/s, 3 min 10 s left\n"


def test_slow_work_is_counted_by_the_hour(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("runs", unit="runs", quiet_seconds=0)
    bar.start(4)
    clock.now += 1800
    bar.update(1.5)
    assert capsys.readouterr().err == "runs 1.5/4: 3 runs/h, 50 min 00 s left\n"


def test_the_number_of_items_need_not_be_known(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("segmenting").counting(None) as count:
        clock.now += 20
        count()
    assert capsys.readouterr().err == "segmenting 1: 0.05 images/s\n"


def test_nothing_is_shown_if_not_wanted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("reading", shown=False, quiet_seconds=0)
    assert list(bar(range(3))) == [0, 1, 2]
    bar.say("unheard")
    assert capsys.readouterr().err == ""


def test_a_long_line_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressBar("reading").say("left out: " + "a/long/path/" * 20)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_bars_can_be_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    token = progress.BARS.set(False)
    try:
        bar = ProgressBar("reading", quiet_seconds=0)
        assert list(bar(range(3))) == [0, 1, 2]
        bar.say("a line")
    finally:
        progress.BARS.reset(token)
    assert capsys.readouterr().err == ""
