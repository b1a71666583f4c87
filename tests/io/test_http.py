"""Against a server of this machine that sends byte by byte, for ever, or not what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from ahs_seg.io.http import BrokenOffError, Deadline, HttpError, body, is_url, respond, shown
from ahs_seg.io.images import ImageError
from ahs_seg.io.urls import fetch

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Script = Callable[[], Iterator[bytes]]


class Handler(BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            self.request.recv(65536)
            for part in self.server.script():  # type: ignore[attr-defined]  # set by the fixture
                self.request.sendall(part)
                if self.server.ended.is_set():  # type: ignore[attr-defined]  # set by the fixture
                    return


@pytest.fixture
def serve() -> Iterator[Callable[[Script | bytes], str]]:
    """A function that starts to send the parts of a script to whoever connects, and returns the address."""
    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.ended = threading.Event()  # type: ignore[attr-defined]  # read by the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def start(script: Script | bytes) -> str:
        server.script = (lambda: iter([script])) if isinstance(script, bytes) else script  # type: ignore[attr-defined]
        return f"http://127.0.0.1:{server.server_address[1]}/a.png"

    yield start
    server.ended.set()  # type: ignore[attr-defined]  # read by the handler
    server.shutdown()
    thread.join()
    server.server_close()


def forever(start: bytes, again: bytes, pause: float = 0.01) -> Script:
    def script() -> Iterator[bytes]:
        yield start
        while True:
            time.sleep(pause)
            yield again

    return script


SLOW = {
    "nothing at all": forever(b"", b""),
    "status line": forever(b"HTTP/1.1 200 ", b"x"),
    "headers": forever(OK, b"X"),
    "many headers": forever(OK, b"X: y\r\n", 0.05),
    "continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.0),
    "continue with headers": forever(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
    "chunk size": forever(CHUNKED, b"0"),
    "chunk extension": forever(CHUNKED + b"5;", b"x"),
    "small chunks": forever(CHUNKED, b"1\r\nx\r\n"),
    "trailers": forever(CHUNKED + b"0\r\n", b"X: y\r\n", 0.0),
    "content": forever(OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "content without length": forever(OK + b"\r\n", b"x"),
    "redirect": forever(b"HTTP/1.1 302 Found\r\nLocation: /", b"a"),
}


@pytest.mark.parametrize("case", SLOW)
def test_every_wait_ends_at_the_deadline(serve, case):
    url = serve(SLOW[case])
    began = time.monotonic()
    with pytest.raises(ImageError, match=r"cannot be downloaded \(no response in time\)"):
        fetch(url, seconds=0.3)
    assert time.monotonic() - began < 3


def test_slow_redirects_share_one_deadline(serve):
    def script() -> Iterator[bytes]:
        time.sleep(0.2)
        yield b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"

    with pytest.raises(ImageError, match="no response in time"):
        fetch(serve(script), seconds=0.5)


def test_redirects_are_counted(serve):
    url = serve(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(HttpError, match="more than 5 redirects"):
        respond(url, Deadline(30))


def test_looking_up_a_name_ends_at_the_deadline(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    began = time.monotonic()
    with pytest.raises(ImageError, match="no response in time"):
        fetch("http://slow.example/a.png", seconds=0.1)
    assert time.monotonic() - began < 0.9


def test_many_addresses_of_a_name_share_one_deadline(monkeypatch):
    tried = []

    def connect(address, timeout):
        tried.append(timeout)
        time.sleep(timeout / 2)
        raise TimeoutError

    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{k}", 80)) for k in range(40)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)
    monkeypatch.setattr(socket, "create_connection", connect)
    began = time.monotonic()
    with pytest.raises(ImageError, match="no response in time"):
        fetch("http://many.example/a.png", seconds=0.3)
    assert time.monotonic() - began < 1.5
    assert tried == sorted(tried, reverse=True)


def content(url: str) -> bytes:
    with respond(url, Deadline(30)) as response:
        return b"".join(body(response))


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nabcde",
        OK + b"\r\nabcde",
        OK + b"Content-Length: -3\r\n\r\nabcde",
        CHUNKED + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nabcde",
    ],
)
def test_whole_content(serve, answer):
    assert content(serve(answer)) == b"abcde"


def test_content_of_another_length_than_stated_is_no_download(serve):
    url = serve(OK + b"Content-Length: 9\r\n\r\nabcde")
    with pytest.raises(BrokenOffError, match="broke off at 5 of 9 bytes"):
        content(url)
    with pytest.raises(ImageError, match=r"cannot be downloaded \(broke off at 5 of 9 bytes\)"):
        fetch(url)
    with pytest.raises(HttpError, match="sends more than the 3 bytes that it states"):
        content(serve(OK + b"Content-Length: 3\r\n\r\nabcde"))


@pytest.mark.parametrize("answer", [b"5\r\nabc", b"5\r\nabcde\r\n", b"5", b"", b"zz\r\n", b"-5\r\nabcde\r\n"])
def test_chunks_that_are_cut_or_none_are_no_download(serve, answer):
    with pytest.raises((HTTPException, ValueError)):
        content(serve(CHUNKED + answer))
    with pytest.raises(ImageError, match="cannot be downloaded"):
        fetch(serve(CHUNKED + answer))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 \x1b]0;owned\x07\x1b[31mred\x9b2J" + b"x" * 5000 + b"\r\n\r\n",
        b"\x1b[2J nonsense\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\x1b[2J\x9b\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\x1b[2J/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/\x1b[2J 200 OK\r\n\r\n",
    ],
)
def test_words_of_a_server_are_printed_without_control_characters(serve, answer):
    with pytest.raises(ImageError) as error:
        fetch(serve(answer))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_words_are_one_short_line():
    assert shown("404 Not Found") == "404 Not Found"
    assert shown("a\n\x1b[2Jb\u202e") == r"a\u000a\u001b[2Jb\u202e"
    assert shown("x" * 300) == "x" * 200 + "..."


def test_addresses():
    assert is_url("https://example.com/a.jpg")
    assert is_url("HTTP://example.com")
    assert not any(map(is_url, ["ftp://example.com", "file:///a.jpg", "http.jpg", 3]))
