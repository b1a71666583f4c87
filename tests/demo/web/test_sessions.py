"""Sessions are bounded in number and in answers that nobody fetches, and end when their client has left."""

from __future__ import annotations

from collections import Counter

import gradio as gr
import pytest

from ahs_seg.demo.web import sessions as module
from ahs_seg.demo.web.gradio_queue import GradioQueue
from ahs_seg.demo.web.limits import RefusedError
from ahs_seg.demo.web.sessions import IDLE_SECONDS, Sessions
from tests.support.event_loops import result_of
from tests.support.page_calls import Clock


class Told(GradioQueue):
    """A queue whose requests the test states."""

    def __init__(self) -> None:
        super().__init__(gr.Blocks())
        self.requests: Counter[str] = Counter()
        self.busy: set[str] = set()

    def unread(self, session: str) -> int:
        return self.requests[session]

    def working(self, session: str) -> bool:
        return session in self.busy

    async def forget(self, session: str) -> None:
        self.requests.pop(session, None)


@pytest.fixture
def queue() -> Told:
    return Told()


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(queue: Told, ended: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    monkeypatch.setattr(module, "MAX_SESSIONS", 3)
    monkeypatch.setattr(module, "MAX_UNREAD", 4)
    monkeypatch.setattr(module, "MAX_UNREAD_OF_ONE", 3)
    return Sessions(queue, ended.append, waiting=1, clock=clock)


def test_the_longest_unused_session_gives_its_place(sessions: Sessions, ended: list[str], queue: Told) -> None:
    async def run() -> None:
        for name in ("a", "b", "c", "a"):
            await sessions.admit(name, "client")
        queue.busy = {"b"}
        await sessions.admit("d", "client")

    result_of(run())
    assert ended == ["c"], "b is at work, a was used after c"
    assert len(sessions) == 3
    assert "c" not in sessions


def test_open_connections_are_not_ended(sessions: Sessions) -> None:
    async def run() -> None:
        for name in "abc":
            await sessions.admit(name, "client")
        with sessions.connected("a"), sessions.connected("b"), sessions.connected("c"):
            await sessions.admit("d", "client")

    with pytest.raises(RefusedError, match="3 sessions are open") as refused:
        result_of(run())
    assert refused.value.status == 503


def test_sessions_end_some_time_after_their_last_connection(
    sessions: Sessions, ended: list[str], clock: Clock, queue: Told
) -> None:
    async def run() -> list[list[str]]:
        found = []
        for name in "abc":
            await sessions.admit(name, f"client {name}")
        queue.busy = {"b"}
        with sessions.connected("a"):
            clock.now += IDLE_SECONDS + 1
            await sessions.sweep()
            found.append(sorted(ended))
            assert sessions.clients == {"client a", "client b"}
        await sessions.sweep()
        found.append(sorted(ended))
        queue.busy = set()
        clock.now += IDLE_SECONDS + 1
        await sessions.sweep()
        return [*found, sorted(ended)]

    assert result_of(run()) == [["c"], ["c"], ["a", "b", "c"]]
    assert len(sessions) == 0


def test_answers_that_nobody_fetches_do_not_pile_up(sessions: Sessions, ended: list[str], queue: Told) -> None:
    async def run() -> None:
        await sessions.admit_work("a", "client")
        queue.requests["a"] = 3
        with pytest.raises(RefusedError, match="3 requests of this session were not fetched") as refused:
            await sessions.admit_work("a", "client")
        assert refused.value.status == 429
        await sessions.admit_work("b", "client")
        queue.requests["b"] = 2
        await sessions.admit_work("c", "client")
        assert ended == ["a"], "its answers were waiting for longest"
        queue.requests["c"] = 3
        queue.busy = {"b", "c"}
        with pytest.raises(RefusedError, match="busy"):
            await sessions.admit_work("b", "client")

    result_of(run())
