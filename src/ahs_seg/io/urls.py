"""Download of images given by URL: only http and https, within limits of size and time."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.io.http import Deadline, body, is_url, respond, shown
from ahs_seg.io.images import BinaryFile, ImageError, ImageSource, name_of, read_image

MAX_BYTES: Final = 100 * 2**20
SECONDS: Final = 30.0
_REMEDY: Final = "Check the address, or download the image and give the file."


def read_source(source: ImageSource) -> UInt8[np.ndarray, "H W 3"]:
    """The RGB values of an image as by `read_image`; `source` may also be a URL.

    Raises:
        ImageError: the image cannot be downloaded or read.
    """
    if isinstance(source, str) and is_url(source):
        return read_image(fetch(source), name=source)
    return read_image(source)


def file_of(source: ImageSource) -> Path | None:
    """The file that an image is read from, also by an open file or PIL image; None: it does not come from one."""
    if isinstance(source, Image.Image):
        source = str(getattr(source, "filename", ""))
    if isinstance(source, BinaryFile):
        source = name_of(source)
    if isinstance(source, str):
        return Path(source).absolute() if source and not is_url(source) else None
    return source.absolute() if isinstance(source, Path) else None


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The content of the file at a URL; redirects are followed, to http and https only.

    Raises:
        ImageError: there is no such address or no response, the download exceeds `max_bytes` or `seconds` in total, or
            it has other bytes than the server states.
    """
    try:
        with respond(url, Deadline(seconds)) as response:
            if response.status != HTTPStatus.OK:
                reason = shown(f"{response.status} {response.reason}")
                raise ImageError(f"{url}: the server answers {reason}. {_REMEDY}")
            return _content(response, url, max_bytes)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        reason = "no response in time" if late else shown(str(error) or type(error).__name__)
        raise ImageError(f"{url}: cannot be downloaded ({reason}). {_REMEDY}") from None


def _content(response: HTTPResponse, url: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = response.length or 0
    if size <= max_bytes:
        size = 0
        for part in body(response):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                break
        else:
            return b"".join(parts)
    raise ImageError(f"{url}: more than {max_bytes:,} bytes, which is the limit. {_REMEDY}")
