"""Pictures on the web: only those a user names, only over http and https, within limits of size and time."""

from __future__ import annotations

import time
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urljoin
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

import numpy as np
from jaxtyping import UInt8

from ahs_seg.config import VERSION
from ahs_seg.io.images import ImageError, ImageSource, read_image

MAX_BYTES: Final = 100 * 2**20
SECONDS: Final = 30.0
MAX_REDIRECTIONS: Final = 5
_REDIRECTIONS: Final = (301, 302, 303, 307, 308)
_CHUNK: Final = 2**16
_REMEDY: Final = "Check the address, or download the picture and give the file."


def is_url(source: object) -> bool:
    """Whether this is a text that begins as an address on the web."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def read_source(source: ImageSource) -> UInt8[np.ndarray, "H W 3"]:
    """What `read_image` gives, also for addresses on the web.

    Raises:
        ImageError: a picture that cannot be fetched or read.
    """
    if isinstance(source, str) and is_url(source):
        return read_image(fetch(source), name=source)
    return read_image(source)


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The bytes of a file on the web; redirections are followed, also only to http and https.

    Raises:
        ImageError: no such address, no answer, more than `max_bytes`, or longer than `seconds` in all.
    """
    deadline = time.monotonic() + seconds
    address = url
    try:
        for _ in range(MAX_REDIRECTIONS):
            with _opened(address, max(0.001, deadline - time.monotonic())) as response:
                if response.status == HTTPStatus.OK:
                    return _read(response, url, max_bytes, deadline)
                target = response.headers.get("Location")
                if response.status not in _REDIRECTIONS or not target:
                    raise ImageError(f"{url}: the server answers {response.status} {response.reason}. {_REMEDY}")
                address = urljoin(address, target)
            if not is_url(address):
                raise ImageError(f"{url}: leads to {address}, which is not fetched; only http and https are.")
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        reason = "no answer in time" if late else str(error)
        raise ImageError(f"{url}: cannot be fetched ({reason}). {_REMEDY}") from None
    raise ImageError(f"{url}: more than {MAX_REDIRECTIONS} redirections. {_REMEDY}")


def _opened(address: str, seconds: float) -> HTTPResponse:
    """The answer as it is; the opener has no handler for files, ftp or data, and follows no redirection by itself."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), UnknownHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    request = Request(address, headers={"User-Agent": f"ahs-seg/{VERSION}"})  # noqa: S310  # see the handlers
    response: HTTPResponse = opener.open(request, timeout=seconds)
    return response


def _read(response: HTTPResponse, url: str, max_bytes: int, deadline: float) -> bytes:
    stated = response.headers.get("Content-Length", "")
    parts: list[bytes] = []
    size = int(stated) if stated.isdigit() and int(stated) > max_bytes else 0
    while size <= max_bytes:
        if time.monotonic() > deadline:
            raise TimeoutError
        part = response.read1(_CHUNK)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    raise ImageError(f"{url}: more than {max_bytes:,} bytes, which is the limit. {_REMEDY}")
