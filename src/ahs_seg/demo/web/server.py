"""HTTP server of the page: uvicorn in a thread, with limits on connections, headers and threads."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ahs_seg.demo.web.hosts import EVERY_ADDRESS
from ahs_seg.demo.web.limits import ServeError

MAX_CONNECTIONS: Final = 512
HEADER_BYTES: Final = 32 * 2**10
HEADER_SECONDS: Final = 10
"""Time from the first byte of a request to the end of its headers."""
SEND_SECONDS: Final = 60
"""Time that a client may take to receive a part of an answer."""
START_SECONDS: Final = 30
CLOSE_SECONDS: Final = 5
SAID_HERE: Final = ("Invalid HTTP", "Unsupported upgrade", "No supported WebSocket", "ASGI callable returned without")
"""Beginnings of lines with which uvicorn repeats what this file or the gate notes, with the client, in one line."""

logger = logging.getLogger(__name__)
logger.addFilter(lambda record: not str(record.msg).startswith(SAID_HERE))


class PatientProtocol(H11Protocol):
    """HTTP connection that is closed if its client is too slow, and whose failure is one line of the log.

    `HEADER_SECONDS` are for the headers of a request, `SEND_SECONDS` for taking a part of the answer.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # those of uvicorn
        super().__init__(*args, **options)
        self.logger = logger
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` is called for whatever the client does not take
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop()
        self._taken()

    def data_received(self, data: bytes) -> None:
        """Wait on until the headers are complete."""
        super().data_received(data)
        if self._is_answering:
            self._stop()
        else:
            self._wait()

    def pause_writing(self) -> None:
        """Wait for the client to take what was sent, also while the connection closes."""
        super().pause_writing()
        self._sending = self.loop.call_later(SEND_SECONDS, self._leave)

    def resume_writing(self) -> None:
        """Stop waiting."""
        super().resume_writing()
        self._taken()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless an answer has begun; for a request that it cuts off, the gate notes it."""
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            logger.warning("%s: 400 %s", self._client, msg[:1].lower() + msg[1:])
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        self.transport.close()

    @property
    def _client(self) -> str:
        return self.client[0] if self.client else "unknown"

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _taken(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _give_up(self) -> None:
        logger.warning("%s: closed, its request took too long", self._client)
        self.transport.close()

    def _leave(self) -> None:
        logger.warning("%s: closed, it did not take its answer within %s seconds", self._client, SEND_SECONDS)
        self.transport.abort()  # to close it would wait for the client


class Server(uvicorn.Server):
    """Server that ends streams first, so that closing it does not wait for them."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the server."""
        self._end_streams()
        await super().shutdown(sockets)


@contextmanager
def running(app: ASGIApp, *, host: str, port: int, end_streams: Callable[[], None]) -> Iterator[str]:
    """Context in which a thread serves an application; yields its address.

    Raises:
        ServeError: the address or port cannot be used, or the application does not start.
    """
    listening = listen(host, port)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        proxy_headers=False,  # else a client could name another address as its own
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    server = Server(config, end_streams)
    thread = threading.Thread(target=server.run, args=([listening],), name="page", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise ServeError("the server of the page did not start; the lines above say why")
            time.sleep(0.01)
        shown = "localhost" if host.strip("[]") in EVERY_ADDRESS else host
        if ":" in shown:
            shown = f"[{shown.strip('[]')}]"
        yield f"http://{shown}:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(2 * CLOSE_SECONDS)
        listening.close()


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Context that SIGTERM leaves as Ctrl-C does, so that uploaded files are removed; in the main thread only."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; the port 0 takes a free one.

    Raises:
        ServeError: the address or port cannot be used.
    """
    name = host.strip("[]")
    try:
        family = socket.getaddrinfo(name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((name, port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise ServeError(f"port {port} of {host} cannot be used ({error}); choose another with --port") from None
