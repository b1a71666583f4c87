"""Bodies cost no more memory than they are allowed, whatever they announce, and no more time."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from ahs_seg.demo.web import bodies
from ahs_seg.demo.web.bodies import bounded, read_whole, replayed
from ahs_seg.demo.web.limits import RefusedError
from tests.support.event_loops import result_of
from tests.support.page_calls import API

MOST = 100_000
PART = 65_536


def receiving(parts: Iterator[bytes]) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    return receive


def test_a_body_without_announced_length_is_cut_at_the_limit() -> None:
    sent = 0

    def fifty_megabytes() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(50_000_000 // PART):
            sent += PART
            yield bytes(PART)

    tracemalloc.start()
    with pytest.raises(RefusedError, match="more than 100,000 bytes") as refused:
        result_of(read_whole(receiving(fifty_megabytes()), Headers(), MOST))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.status == 413
    assert sent <= MOST + PART
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("length", "status"), [("100001", 413), ("9" * 30, 413), ("-1", 400), ("1e3", 400), ("²", 400), ("", 400)]
)
def test_an_announced_length_is_judged_before_anything_is_read(length: str, status: int) -> None:
    async def never() -> Message:
        raise AssertionError("read")

    with pytest.raises(RefusedError) as refused:
        result_of(read_whole(never, Headers(raw=[(b"content-length", length.encode("latin-1"))]), MOST))
    assert refused.value.status == status


def test_a_body_up_to_the_limit_is_whole() -> None:
    parts = [b"a" * 60_000, b"", b"b" * 40_000]
    body = result_of(read_whole(receiving(iter(parts)), Headers({"content-length": "100000"}), MOST))
    assert body == b"".join(parts)


def test_slow_bodies_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def trickle() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    monkeypatch.setattr(bodies, "CHUNK_SECONDS", 0.05)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    for receive in (never, trickle):
        with pytest.raises(RefusedError, match="too slowly") as refused:
            result_of(read_whole(receive, Headers(), MOST))
        assert refused.value.status == 408


def test_a_connection_that_closes_early() -> None:
    async def closed() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(RefusedError, match="before the request was complete"):
        result_of(read_whole(closed, Headers(), MOST))


FORM = "multipart/form-data; boundary=x"
PICTURE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(5000)
CUT = [
    ("upload", FORM, "Content-Length: 90000", PICTURE),
    ("upload", FORM, "Content-Length: 90000", b""),
    ("upload", FORM, "Transfer-Encoding: chunked", b"%x\r\n" % len(PICTURE) + PICTURE),
    ("upload", FORM, "Transfer-Encoding: chunked", b"5\r\n--x\r\n\r\nno number\r\n"),
    ("call/segment", "application/json", "Content-Length: 9000", b'{"data": ['),
    ("queue/join", "application/json", "Transfer-Encoding: chunked", b'4\r\n{"da'),
    ("queue/join", "application/json", "Transfer-Encoding: chunked", b'4\r\n{"da\r\nno number\r\n'),
    ("cancel", "application/json", "Expect: 100-continue\r\nContent-Length: 900", b""),
]
"""Requests whose client leaves in the middle of the body, or sends something else there."""


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("path", "kind", "length", "body"), CUT, ids=range(len(CUT)))
def test_a_request_that_is_cut_off_is_one_line_with_status_400(
    address: str, caplog: pytest.LogCaptureFixture, path: str, kind: str, length: str, body: bytes
) -> None:
    url = httpx.URL(address)
    head = f"POST {API}/{path} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=10) as client:
        client.sendall(head.encode() + body)
        time.sleep(0.1)
    deadline = time.monotonic() + 10
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)  # for a second line
    assert [record.getMessage() for record in caplog.records] == [
        f"127.0.0.1 POST {API}/{path}: 400 The connection was closed before the request was complete."
    ]


def test_a_replayed_body_is_followed_by_what_the_connection_does() -> None:
    async def closed() -> Message:
        return {"type": "http.disconnect"}

    async def both() -> list[str]:
        receive = replayed(b"x", closed)
        return [(await receive())["type"], (await receive())["type"]]

    assert result_of(both()) == ["http.request", "http.disconnect"]


def test_after_the_body_waiting_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "CHUNK_SECONDS", 0.01)

    async def waits_after_body() -> str:
        messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x"}]

        async def receive() -> Message:
            if len(messages) == 1:
                await asyncio.sleep(0.05)
            return messages.pop()

        limited = bounded(receive, Headers(), MOST)
        await limited()
        kind: str = (await limited())["type"]
        return kind

    assert result_of(waits_after_body()) == "http.disconnect"
