"""Resumable downloads, checked for size and checksum before they get their final name."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Final

from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.io.atomic import write_text
from ahs_seg.io.digest import file_digest
from ahs_seg.io.progress import ProgressBar

_CHUNK: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 60
_BROKEN: Final = (OSError, http.client.HTTPException)
"""Exceptions raised by an interrupted connection; `OSError` includes `urllib.error.URLError` and time-outs."""


class DownloadError(PrepareError):
    """Error for an incomplete download; the received bytes are kept, so that the next attempt continues from there."""


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    checksum: str = "",
    attempts: int = 5,
    pause: float = 2.0,
    progress: bool = True,
) -> None:
    """Download `url` (http or https) to `path`, resuming a partial download.

    Data is written to `<path>.part`, which is renamed once it has the right size (`size` in bytes, or the one stated by
    the server) and `checksum`, e.g. "sha256:69a8...". An interrupted connection is retried after `pause` seconds, until
    `attempts` connections in a row bring no data.

    Raises:
        DownloadError: the server refuses, the connection fails repeatedly, or size or checksum are wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: only http and https addresses are fetched.")
    part, path_tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
    path.parent.mkdir(parents=True, exist_ok=True)
    left = attempts
    while True:
        before = _size(part)
        try:
            total = _fetch(url, part, path_tag, progress=progress)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise DownloadError(f"{url}: the server answers {error.code} ({error.reason}).") from None
            problem: Exception = error
        except _BROKEN as error:
            problem = error
        else:
            if total is None or _size(part) >= total:
                break
            problem = EOFError(f"broke off at {_size(part):,} of {total:,} bytes")
        left = attempts if _size(part) > before else left - 1
        if left <= 0:
            raise DownloadError(
                f"{url}: {problem}. {_size(part):,} bytes are kept in {part}; run the command again to continue."
            ) from problem
        time.sleep(pause)
    _check(url, part, size=size, checksum=checksum)
    part.replace(path)
    path_tag.unlink(missing_ok=True)


def _fetch(url: str, part: Path, path_tag: Path, *, progress: bool) -> int | None:
    """Size of the whole file if the server states it, after appending the missing bytes to the partial file."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "ahs-seg", "Accept-Encoding": "identity"})  # noqa: S310  # checked by the caller
    if have:
        request.add_header("Range", f"bytes={have}-")
        if path_tag.exists():
            request.add_header("If-Range", path_tag.read_text())
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310  # checked by the caller
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return _after_the_end(error, part, have)
        raise
    with response:
        start, total = _range(response, have)
        if not start:
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            write_text(path_tag, tag) if tag and not tag.startswith("W/") else path_tag.unlink(missing_ok=True)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            if total is None:
                shutil.copyfileobj(response, file)
            else:
                _copy(response, file, total - start, ProgressBar(f"fetching {part.stem}", unit="MB", shown=progress))
            file.flush()
            os.fsync(file.fileno())
    return total


def _copy(response: http.client.HTTPResponse, file: IO[bytes], count: int, track: ProgressBar) -> None:
    for _ in track(range(-(-count // _CHUNK))):
        data = response.read(_CHUNK)
        if not data:
            break
        file.write(data)


def _range(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Byte offset at which the response begins, and the size of the whole file (`None`: not stated)."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, None if found[2] == "*" else int(found[2])
        raise http.client.HTTPException(f"answered with the range {response.headers.get('Content-Range')!r}")
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def _after_the_end(error: urllib.error.HTTPError, part: Path, have: int) -> int:
    """File size after the server rejects the range: the file is complete, or it has changed and is fetched again."""
    total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
    if total != str(have):
        part.unlink()
        raise http.client.HTTPException("the partial file is longer than the file; starting again")
    return have


def _check(url: str, part: Path, *, size: int | None, checksum: str) -> None:
    problem = ""
    if size is not None and _size(part) != size:
        problem = f"has {_size(part):,} bytes, expected are {size:,}"
    elif checksum:
        kind, _, expected = checksum.partition(":")
        found = file_digest(part, kind)
        if found != expected:
            problem = f"has the {kind} {found}, expected is {expected}"
    if problem:
        part.unlink()
        raise DownloadError(f"{url}: the downloaded file {problem}. It was removed; try again, or fetch it by hand.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
