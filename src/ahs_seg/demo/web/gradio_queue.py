"""What gradio holds for a session: its queue of requests, answers that were not fetched, and component states."""

from __future__ import annotations

from typing import Any

import gradio as gr


class GradioQueue:
    """The parts of gradio's queue and state that belong to one session; used in the event loop of the server."""

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page

    @property
    def _queue(self) -> Any:
        return self._page._queue

    def unread(self, session: str) -> int:
        """Requests of a session whose answer has not been fetched."""
        return len(self._queue.pending_event_ids_session.get(session, ()))

    def working(self, session: str) -> bool:
        """Whether a request of a session is waiting or running."""
        events = list(self._queue.event_ids_to_events.values())
        return any(event.session_hash == session for event in events)

    def session_of(self, event: str) -> str | None:
        """The session of a request, or None if the request is not known or its answer was fetched."""
        pending = self._queue.pending_event_ids_session
        return next((session for session, events in pending.items() if event in events), None)

    def awaited(self, session: str) -> bool:
        """Whether answers of a session can be fetched."""
        return session in self._queue.pending_messages_per_session

    def disconnected(self, session: str) -> None:
        """Drop the names of requests whose answers can no longer be fetched, since their connection was closed."""
        if not self.awaited(session):
            self._queue.pending_event_ids_session.pop(session, None)

    async def forget(self, session: str) -> None:
        """Remove waiting requests, answers and states of a session; a running request ends without an answer."""
        queue, states = self._queue, self._page.state_holder
        await queue.clean_events(session_hash=session)
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)
        states.session_data.pop(session, None)
        states.time_last_used.pop(session, None)

    def stop(self) -> None:
        """End the streams of answers and the heartbeats, so that the server can close."""
        self._queue.close()
        self._page.is_running = False
        self._page.app.stop_event.set()
