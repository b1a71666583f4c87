"""The server in front of the page: its address, and connections that are slow, large or many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from ahs_seg.demo.web import server
from ahs_seg.demo.web.limits import ServeError
from ahs_seg.demo.web.server import HEADER_BYTES, ending_on_sigterm, listen, running

HOST = "127.0.0.1"
LARGE = 30_000_000
ended: list[bool] = []


async def small(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, or streams until it is told to end, or sends more than a connection holds."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    length = b"2" if scope["path"] != "/large" else b"%d" % LARGE
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    if scope["path"] == "/large":
        await send({"type": "http.response.body", "body": bytes(LARGE)})
        return
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    while scope["path"] == "/stream" and not ended:
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"k"})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(server, "SEND_SECONDS", 0.5)
    ended.clear()
    with running(small, host=HOST, port=0, end_streams=lambda: ended.append(True)) as address:
        yield address


def connected(address: str) -> socket.socket:
    return socket.create_connection((HOST, httpx.URL(address).port or 0), timeout=5)


def test_a_free_port_is_found_and_served(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(address).text == "ok"


def test_headers_that_trickle_in_are_given_up(address: str, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with connected(address) as slow, connected(address) as silent:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        closed = False
        while not closed and time.monotonic() - began < 4:
            time.sleep(0.05)
            try:
                slow.sendall(b"X-A: b\r\n")
            except OSError:
                closed = True
        assert closed
        assert silent.recv(10) == b""
    assert 0.2 < time.monotonic() - began < 4
    assert httpx.get(address).text == "ok"
    assert sum("took too long" in record.getMessage() for record in caplog.records) == 2


def test_a_second_request_may_be_late_but_not_slow(address: str) -> None:
    with httpx.Client() as client:
        assert client.get(address).text == "ok"
        time.sleep(0.5)
        assert client.get(address).text == "ok"


def test_huge_headers_are_refused(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with connected(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (HEADER_BYTES + 1000))
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_does_not_take_its_answer_is_given_up(
    address: str, caplog: pytest.LogCaptureFixture, connection: str
) -> None:
    with connected(address) as client:
        client.sendall(f"GET /large HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(1)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while part := client.recv(2**20):
                taken += len(part)
        assert taken < LARGE, "the rest was dropped"
    assert warnings(caplog) == ["127.0.0.1: closed, it did not take its answer within 0.5 seconds"]


def test_a_client_that_leaves_its_answer_is_no_failure(address: str, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/large", "/stream"):
        with connected(address) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    time.sleep(0.8)
    assert httpx.get(address).text == "ok"
    assert warnings(caplog) == []


def test_what_is_no_http_is_one_line_and_no_trace(address: str, caplog: pytest.LogCaptureFixture) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    for before, status in ((b"", 400), (request, 200), (upgrade, 200)):
        with connected(address) as client:
            client.sendall(before)
            time.sleep(0.2 * bool(before))  # the answer comes before the rest
            client.sendall(b"zz\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 %d" % status)
            while client.recv(1000):
                pass
        assert warnings(caplog) == ["127.0.0.1: 400 invalid HTTP request received."]
        caplog.clear()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_closing_does_not_wait_for_streams() -> None:
    ended.clear()
    with running(small, host=HOST, port=0, end_streams=lambda: ended.append(True)) as address:
        client = connected(address)
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100)
        began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 3


def test_sigterm_ends_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), ending_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("host", "port"), [(HOST, 99999), (HOST, -1), ("256.0.0.1", 0), ("203.0.113.7", 0)])
def test_addresses_that_cannot_be_used(host: str, port: int) -> None:
    with pytest.raises(ServeError, match=rf"port {port} of {host} cannot be used .*; choose another with --port"):
        listen(host, port)


def test_the_address_that_is_shown() -> None:
    with running(small, host="0.0.0.0", port=0, end_streams=lambda: None) as address:
        assert address.startswith("http://localhost:")
        assert httpx.get(address).text == "ok"
