"""HTTP server of the page: uvicorn in a thread, with limits on connections, headers and threads."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ahs_seg.demo.web.hosts import EVERY_ADDRESS
from ahs_seg.demo.web.limits import ServeError

MAX_CONNECTIONS: Final = 512
HEADER_BYTES: Final = 32 * 2**10
HEADER_SECONDS: Final = 10
"""Time from the first byte of a request to the end of its headers."""
START_SECONDS: Final = 30
CLOSE_SECONDS: Final = 5


class PatientProtocol(H11Protocol):
    """HTTP connection that is closed if the headers of a request take longer than `HEADER_SECONDS`."""

    def __init__(self, *args: Any, **options: Any) -> None:  # those of uvicorn
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop()

    def data_received(self, data: bytes) -> None:
        """Wait on until the headers are complete."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.logger.warning("%s: closed, its request took too long", self.client[0] if self.client else "unknown")
        self.transport.close()


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
