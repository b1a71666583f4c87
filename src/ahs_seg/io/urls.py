"""Download of images given by URL: only http and https, within limits of size and time."""

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
_REMEDY: Final = "Check the address, or download the image and give the file."


def is_url(source: object) -> bool:
    """Whether `source` is a string that starts with http:// or https://."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def read_source(source: ImageSource) -> UInt8[np.ndarray, "H W 3"]:
    """The RGB values of an image as by `read_image`; `source` may also be a URL.

    Raises:
        ImageError: the image cannot be downloaded or read.
    """
    if isinstance(source, str) and is_url(source):
        return read_image(fetch(source), name=source)
    return read_image(source)


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The content of the file at a URL; redirects are followed, to http and https only.

    Raises:
        ImageError: there is no such address or no response, or the download exceeds `max_bytes` or `seconds` in total.
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
                raise ImageError(
                    f"{url}: redirects to {address}, which is not downloaded; only http and https are allowed."
                )
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        reason = "no response in time" if late else str(error)
        raise ImageError(f"{url}: cannot be downloaded ({reason}). {_REMEDY}") from None
    raise ImageError(f"{url}: more than {MAX_REDIRECTIONS} redirects. {_REMEDY}")


def _opened(address: str, seconds: float) -> HTTPResponse:
    """The response without following redirects; the opener has no handlers for file, ftp or data URLs."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), UnknownHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    request = Request(address, headers={"User-Agent": f"ahs-seg/{VERSION}"})  # noqa: S310  # http and https only
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
