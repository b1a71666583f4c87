"""The last results of a session are kept, as long as they have room; one of them is the chosen one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ahs_seg.demo.web.feature_cache import Times, held_bytes
from ahs_seg.demo.web.history import KEPT, History
from ahs_seg.demo.web.session import SessionResult
from tests.support.results import made


def result(model: str = "one") -> SessionResult:
    return SessionResult(made([[0, 1], [2, 1]]), model, Times(), Path("a.png"))


def test_a_new_request_is_the_chosen_one_and_earlier_ones_can_be_found() -> None:
    first, second, third = result(), result(), result("other")
    history = History().with_new((first,)).with_new((second, third))
    assert history.find(history.chosen) is second
    assert history.find(first.name) is first
    assert history.find(third.name) is third
    assert history.find("nothing") is None
    assert history.choosing(first.name).chosen == first.name


def test_the_oldest_make_room() -> None:
    history = History()
    every = [result() for _ in range(KEPT + 2)]
    for one in every:
        history = history.with_new((one,))
    assert history.results == tuple(every[2:])


def test_the_last_request_is_kept_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = result(), result(), result()
    monkeypatch.setattr("ahs_seg.demo.web.history.KEPT_BYTES", 2 * held_bytes(first))
    assert History((first,)).with_new((second,)).results == (first, second)
    assert History((first, second)).with_new((third,)).results == (second, third)
    monkeypatch.setattr("ahs_seg.demo.web.history.KEPT_BYTES", 1)
    assert History((first,)).with_new((second, third)).results == (second, third)
