"""Open sessions of the page: how many there are, which are still connected, and what ends with them.

A session is one tab, or one client of the interface for programs. It ends some time after its last connection has
closed, or earlier when it is the longest unused and others need its place.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ahs_seg.demo.web.gradio_queue import GradioQueue
from ahs_seg.demo.web.limits import RefusedError

MAX_SESSIONS: Final = 256
IDLE_SECONDS: Final = 120
"""Time after which a session without connection and without work ends."""
MAX_UNREAD: Final = 64
"""Requests of all sessions that are running, or answered but not fetched; those that may wait come on top."""
MAX_UNREAD_OF_ONE: Final = 8


@dataclass(slots=True)
class _Session:
    client: str
    last: float
    connections: int = 0


class Sessions:
    """Sessions by their identifier, the longest unused first.

    With a session end its requests in the `queue`, and what `forget` frees. `waiting` is the length of the queue.
    """

    def __init__(
        self,
        queue: GradioQueue,
        forget: Callable[[str], None],
        *,
        waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._forget = forget
        self._most_unread = MAX_UNREAD + waiting
        self._clock = clock
        self._open: OrderedDict[str, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, session: str) -> bool:
        return session in self._open

    @property
    def clients(self) -> set[str]:
        """Clients with an open session."""
        return {session.client for session in self._open.values()}

    async def admit(self, session: str, client: str) -> None:
        """Note a request of a session and open it if it is new.

        Raises:
            RefusedError: all sessions are in use.
        """
        if session not in self._open:
            await self._make_room()
            self._open[session] = _Session(client, self._clock())
        self._open[session].last = self._clock()
        self._open.move_to_end(session)

    async def admit_work(self, session: str, client: str) -> None:
        """Note a request for work; answers that nobody fetches may not pile up.

        Raises:
            RefusedError: too many answers were not fetched, or all sessions are in use.
        """
        await self.admit(session, client)
        if self._queue.unread(session) >= MAX_UNREAD_OF_ONE:
            raise RefusedError(429, f"{MAX_UNREAD_OF_ONE} requests of this session were not fetched; fetch them first.")
        unread = sum(map(self._queue.unread, self._open))
        if unread >= self._most_unread and not await self._end_first(self._queue.unread):
            raise RefusedError(503, "This page is busy. Please try again in a moment.")

    @contextmanager
    def connected(self, session: str) -> Iterator[None]:
        """Context in which a client keeps a connection open for a session."""
        entry = self._open[session]
        entry.connections += 1
        try:
            yield
        finally:
            entry.connections -= 1
            entry.last = self._clock()

    async def sweep(self) -> None:
        """End the sessions whose client has left."""
        for name, session in list(self._open.items()):
            if self._clock() - session.last > IDLE_SECONDS and self._is_free(name):
                await self.end(name)

    async def end(self, session: str) -> None:
        """Free everything of a session."""
        del self._open[session]
        await self._queue.forget(session)
        self._forget(session)

    async def _make_room(self) -> None:
        if len(self._open) >= MAX_SESSIONS and not await self._end_first(lambda _: True):
            raise RefusedError(503, f"{MAX_SESSIONS} sessions are open, the most of this page. Please try again later.")

    async def _end_first(self, suits: Callable[[str], object]) -> bool:
        """End the longest unused session without connection and work that `suits`; False if there is none."""
        for name in self._open:
            if self._is_free(name) and suits(name):
                await self.end(name)
                return True
        return False

    def _is_free(self, name: str) -> bool:
        return not self._open[name].connections and not self._queue.working(name)
