"""Bodies of requests, bounded in bytes and time while they arrive."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from ahs_seg.demo.web.limits import RefusedError

CHUNK_SECONDS: Final = 15
"""Time between two parts of a body."""
BODY_SECONDS: Final = 300
"""Time for a whole body."""


def bounded(receive: Receive, headers: Headers, most: int) -> Receive:
    """A `receive` that raises `RefusedError` once a body has more than `most` bytes, takes too long or is cut off.

    Raises:
        RefusedError: the announced length is too large, or no number.
    """
    _check_length(headers, most)
    deadline, total = time.monotonic() + BODY_SECONDS, 0
    finished = False

    async def receive_part() -> Message:
        nonlocal total, finished
        if finished:  # what follows is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout(min(CHUNK_SECONDS, deadline - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise RefusedError(408, "The request arrives too slowly; send it again.") from None
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "The connection was closed before the request was complete.")
        total += len(message.get("body", b""))
        if total > most:
            raise _too_large(most)
        finished = not message.get("more_body", False)
        return message

    return receive_part


async def read_whole(receive: Receive, headers: Headers, most: int) -> bytes:
    """The body of a request.

    Raises:
        RefusedError: it has more than `most` bytes, takes too long or is cut off.
    """
    receive_part, parts = bounded(receive, headers, most), []
    while True:
        message = await receive_part()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body first and then what the connection does."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_part() -> Message:
        return parts.pop() if parts else await receive()

    return receive_part


def _check_length(headers: Headers, most: int) -> None:
    for length in headers.getlist("content-length"):
        if not (length.isascii() and length.isdigit()):
            raise RefusedError(400, "The Content-Length is not a number.")
        if len(length) > len(str(most)) + 1 or int(length) > most:
            raise _too_large(most)


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413,
        f"The request has more than {most:,} bytes, the most of this page; send a smaller image or fewer class names.",
    )
