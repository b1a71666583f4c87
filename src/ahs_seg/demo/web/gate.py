"""What stands before gradio: every request is checked here, and refused requests are one line of the log each.

Only the routes that the page uses are answered. Bodies are bounded before they are read, calls are checked before they
are queued, and connections are counted for their session.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ahs_seg.demo.web.bodies import bounded, read_whole, replayed
from ahs_seg.demo.web.calls import SESSION, Calls
from ahs_seg.demo.web.gradio_queue import GradioQueue
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.limits import RefusedError
from ahs_seg.demo.web.sessions import Sessions
from ahs_seg.demo.web.uploads import FORM_BYTES
from ahs_seg.io.outside_text import on_one_line

CONTROL_BYTES: Final = 4096
"""Bytes of the JSON of a request that cancels."""
API: Final = "/gradio_api"
PLAIN: Final = re.compile(
    r"/|/config/?|/(theme\.css|favicon\.ico|manifest\.json|robots\.txt)|/(assets|static|svelte)/.+"
    rf"|{API}/(info/?|openapi\.json|theme\.css|upload_progress|queue/status|app_id)"
)
FILE: Final = re.compile(rf"{API}/file=(?P<path>.+)")
CONNECTION: Final = re.compile(rf"{API}/heartbeat/(?P<session>[^/]+)")
ANSWERS: Final = re.compile(rf"{API}/queue/data")
ANSWER: Final = re.compile(rf"{API}/call/[^/]+/(?P<event>[^/]+)")
CALL: Final = re.compile(rf"{API}/(queue/join|call/(?P<name>[^/]+))/?")
UPLOAD: Final = f"{API}/upload"
CONTROL: Final = re.compile(rf"{API}/(cancel|reset)/?")
SAFETY: Final = {
    "content-security-policy": "frame-ancestors 'self'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}
"""Headers of every answer; with them browsers let no other website embed or read it."""

logger = logging.getLogger(__name__)


class Gate:
    """Application in front of the page; `app` answers what passes."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts, calls: Calls, sessions: Sessions, queue: GradioQueue) -> None:
        self._app = app
        self._hosts, self._calls, self._sessions, self._queue = hosts, calls, sessions, queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request; no exception leaves this method."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            logger.warning("%s WebSocket: refused, the page uses none", client_of(scope))
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(scope, receive, Reply(scope, send))

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        try:
            await self._pass(scope, receive, reply.send)
            await reply.finish()
        except RefusedError as error:
            await reply.refuse(error.status, str(error))
        except Exception as error:  # noqa: BLE001 - one request must not disturb the others; it is named in the log
            await reply.refuse(500, "This request failed on the server.", reason=f"{type(error).__name__}: {error}")

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path, headers = scope["method"], scope["path"], Headers(scope=scope)
        self._hosts.check(method, headers)
        if ".." in path or "\\" in path or not path.isprintable():
            raise RefusedError(400, "The path of the request is not one of this page.")
        scope = {**scope, "headers": [(key, value) for key, value in scope["headers"] if key != b"x-gradio-server"]}
        if method in ("GET", "HEAD"):
            async with self._reading(scope):
                await self._app(scope, receive, send)
        elif method != "POST":
            raise RefusedError(405, "This page answers GET, HEAD and POST.")
        elif path == UPLOAD:
            most = self._calls.limits.upload_bytes + FORM_BYTES
            await self._app(scope, bounded(receive, headers, most), send)
        elif found := CALL.fullmatch(path):
            await self._call(scope, receive, send, found["name"])
        elif CONTROL.fullmatch(path):
            body = await self._json(receive, headers, CONTROL_BYTES)
            await self._app(scope, replayed(body, receive), send)
        else:
            raise RefusedError(404, "This page has no such address.")

    @asynccontextmanager
    async def _reading(self, scope: Scope) -> AsyncIterator[None]:
        """Context of a request that reads; a stream counts as a connection of its session."""
        path = scope["path"]
        session = self._streamed(path, scope)
        if session is not None:
            await self._sessions.admit(session, client_of(scope))
            try:
                with self._sessions.connected(session):
                    yield
            finally:
                self._queue.disconnected(session)
            return
        if (found := FILE.fullmatch(path)) and found["path"] not in self._calls.spool:
            raise RefusedError(404, "This file is not, or no longer, on this page.")
        if not found and not PLAIN.fullmatch(path):
            raise RefusedError(404, "This page has no such address.")
        yield

    def _streamed(self, path: str, scope: Scope) -> str | None:
        """The session whose answers or heartbeat a path streams, or None for other paths."""
        if found := CONNECTION.fullmatch(path):
            session: str | None = found["session"]
        elif ANSWERS.fullmatch(path):
            session = QueryParams(scope["query_string"]).get("session_hash", "")
        elif found := ANSWER.fullmatch(path):
            session = self._queue.session_of(found["event"])
        else:
            return None
        if session is None or not SESSION.fullmatch(session):
            raise RefusedError(404, "There is no such session or request; call a function first.")
        if not CONNECTION.fullmatch(path) and not self._queue.awaited(session):
            raise RefusedError(404, "No answer is waiting for this session; call a function first.")
        return session

    async def _call(self, scope: Scope, receive: Receive, send: Send, name: str | None) -> None:
        body = await self._json(receive, Headers(scope=scope), self._calls.max_bytes)
        call = self._calls.read(body, name)
        await self._sessions.admit_work(call.session_hash, client_of(scope))
        self._calls.claim(call)
        await self._app(scope, replayed(call.model_dump_json().encode(), receive), send)

    async def _json(self, receive: Receive, headers: Headers, most: int) -> bytes:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "Send the call as JSON, with Content-Type: application/json.")
        return await read_whole(receive, headers, most)


class Reply:
    """The answer to a request: sends it with the headers of safety, or a refusal, and notes a failure in the log.

    A status 500 from within is held back: the exception that follows says what to answer.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._request = f"{client_of(scope)} {scope['method']} {on_one_line(scope['path'][:200])}"
        self._status = 0
        self._held = False

    async def send(self, message: Message) -> None:
        """Pass on a part of an answer."""
        if message["type"] == "http.response.start":
            self._held = message["status"] == 500
            if not self._held:
                self._status = message["status"]
                _protect(message)
        if not self._held:
            await self._send(message)

    async def finish(self) -> None:
        """Note an answer that refuses in the log."""
        if self._held:
            await self.refuse(500, "This request failed on the server.")
        elif self._status >= 400:
            logger.warning("%s: %d", self._request, self._status)

    async def refuse(self, status: int, message: str, *, reason: str = "") -> None:
        """Answer with an error, unless an answer has begun; `reason` is for the log only."""
        text = reason or message
        logger.warning("%s: %d %s", self._request, status, on_one_line(text))
        if self._status:
            return
        self._status = status
        content = json.dumps({"detail": message}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
        _protect(start)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": content})


def client_of(scope: Scope) -> str:
    """Network address of the client of a request."""
    return str((scope.get("client") or ("unknown",))[0])


def _protect(message: Message) -> None:
    """Set the headers of safety, and remove those with which gradio lets other websites read answers."""
    headers = MutableHeaders(raw=message["headers"])
    for name in {name for name in headers if name.startswith("access-control-")}:
        del headers[name]
    for name, value in SAFETY.items():
        headers[name] = value
    message["headers"] = headers.raw
