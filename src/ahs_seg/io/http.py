"""HTTP responses before a deadline: status, headers, chunk sizes and content, on every connection of a redirect.

The time-outs of the standard library hold for one wait on the socket. A server that sends a byte now and then, or "100
Continue" for ever, keeps a caller without end. Here every wait ends at the deadline.
"""

from __future__ import annotations

import io
import socket
import string
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urljoin
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from ahs_seg.config import VERSION
from ahs_seg.errors import AhsSegError
from ahs_seg.io.outside_text import on_one_line

MAX_REDIRECTIONS: Final = 5
MAX_REASON: Final = 200
"""Most characters of a server's own words in an error."""
_REDIRECTIONS: Final = (301, 302, 303, 307, 308)
_CHUNK: Final = 2**16


class HttpError(AhsSegError, OSError):
    """Error for a response that breaks a rule of this module: too many redirects, or other bytes than it states."""


class BrokenOffError(HttpError):
    """Error for a response that ends before the bytes that it states."""


class ExcessError(HttpError):
    """Error for a response that goes on after the bytes that it states."""


class Deadline:
    """A moment after which nothing is waited for; `renew` moves it as many seconds into the future as at the start."""

    def __init__(self, seconds: int | float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Begin to count again."""
        self._end = time.monotonic() + self._seconds

    def remaining(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: there are none.
        """
        if (left := self._end - time.monotonic()) <= 0:
            raise TimeoutError("no response in time")
        return left


def is_url(source: object) -> bool:
    """Whether `source` is a string that starts with http:// or https://."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def respond(url: str, deadline: Deadline, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The response at the end of all redirects, of any status; redirects lead to http and https only.

    Raises:
        HttpError: more than `MAX_REDIRECTIONS` redirects, or one to another kind of address.
        TimeoutError: the deadline is over.
        OSError, HTTPException, ValueError: there is no such address, or no understandable response.
    """
    address = url
    for _ in range(MAX_REDIRECTIONS + 1):
        response = _opened(address, deadline, headers or {})
        target = response.headers.get("Location")
        if response.status not in _REDIRECTIONS or not target:
            return response
        response.close()
        address = quote(urljoin(address, target), safe=string.punctuation, encoding="iso-8859-1", errors="replace")
        if not is_url(address):
            raise HttpError(f"redirects to {shown(address)}, which is not downloaded; only http and https are allowed")
    raise HttpError(f"more than {MAX_REDIRECTIONS} redirects")


def body(response: HTTPResponse) -> Iterator[bytes]:
    """The content in parts, as they come.

    Raises:
        BrokenOffError: it has fewer bytes than the response states.
        HttpError: it has more.
        TimeoutError, OSError, HTTPException: as by `respond`.
    """
    stated = response.length  # None: the content is chunked, or ends with the connection
    if stated is None:
        while part := response.read1(_CHUNK):
            yield part
        return
    received = 0
    while received < stated:
        part = response.fp.read1(_CHUNK)  # `response.read1` would end at the stated length, whatever follows
        received += len(part)
        if not part:
            raise BrokenOffError(f"broke off at {received:,} of {stated:,} bytes")
        if received > stated:
            raise ExcessError(f"sends more than the {stated:,} bytes that it states")
        yield part


def shown(text: str) -> str:
    """Words of a server on one line that no terminal obeys, of at most `MAX_REASON` characters."""
    return on_one_line(text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}...")


def _opened(address: str, deadline: Deadline, headers: Mapping[str, str]) -> HTTPResponse:
    """The response without following redirects; the opener has no handlers for file, ftp or data addresses."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), UnknownHandler(), _Handler(deadline)):
        opener.add_handler(handler)
    always = {"User-Agent": f"ahs-seg/{VERSION}", "Accept-Encoding": "identity"}
    request = Request(address, headers=always | dict(headers))  # noqa: S310  # the handlers know http and https only
    response: HTTPResponse = opener.open(request, timeout=deadline.remaining())
    return response


class _Handler(HTTPHandler, HTTPSHandler):
    """Opens http and https addresses with connections whose every wait ends at the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_bounded, HTTPConnection, self._deadline), req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_bounded, HTTPSConnection, self._deadline), req)


def _bounded(
    kind: type[HTTPConnection], deadline: Deadline, host: str, *, timeout: float | None = None
) -> HTTPConnection:
    """A connection whose every wait ends at the deadline."""
    connection = kind(host, timeout=timeout)
    connection.response_class = partial(_BoundedResponse, deadline)  # type: ignore[assignment]  # called as a class is
    connection._create_connection = partial(_connect, deadline)  # type: ignore[attr-defined]  # a seam since Python 2.7
    return connection


class _BoundedResponse(HTTPResponse):
    def __init__(self, deadline: Deadline, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedSocket(sock, deadline))


class _BoundedSocket(io.RawIOBase):
    """The bytes of a socket, each read with what is left until the deadline as its time-out."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connect(deadline: Deadline, address: tuple[str, int], *_: object) -> socket.socket:
    """A socket connected to the first of the host's addresses that answers."""
    problem: OSError = OSError(f"no address of {address[0]} was found")
    for number in _looked_up(address, deadline):
        try:
            sock = socket.create_connection((number, address[1]), timeout=deadline.remaining())
        except OSError as error:
            problem = error
        else:
            sock.settimeout(deadline.remaining())
            return sock
    raise problem


def _looked_up(address: tuple[str, int], deadline: Deadline) -> list[str]:
    """Numeric addresses of a host; the look-up has no time-out, so it runs in a thread that may be left behind."""
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
            found.set_result([str(info[4][0]) for info in infos])
        except Exception as error:  # noqa: BLE001  # raised again by `result`
            found.set_exception(error)

    threading.Thread(target=look_up, daemon=True).start()
    return found.result(deadline.remaining())
