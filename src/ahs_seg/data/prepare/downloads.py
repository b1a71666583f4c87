"""Resumable downloads, checked for size and checksum before they get their final name.

A server that states a size sends as many bytes, or the download is not whole; one that states none is bounded.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.io.atomic import write_text
from ahs_seg.io.digest import file_digest
from ahs_seg.io.drafts import remove_file_drafts
from ahs_seg.io.http import BrokenOffError, Deadline, ExcessError, HttpError, body, is_url, respond, shown
from ahs_seg.io.progress import ProgressBar

MAX_BYTES: Final = 64 * 2**30
"""Most bytes of a download whose size is not known; the largest archive, COCO's training images, has 19 GB."""
_TIMEOUT_SECONDS: Final = 60
_MB: Final = 10**6
_BROKEN: Final = (OSError, HTTPException, ValueError)
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
    if not is_url(url):
        raise DownloadError(f"{url}: only http and https addresses are fetched.")
    part, path_tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_file_drafts(path_tag)
    left = attempts
    while True:
        before = _size(part)
        try:
            _fetch(url, part, path_tag, size=size, progress=progress)
            break
        except DownloadError:
            raise
        except _BROKEN as error:
            problem = error
        left = attempts if _size(part) > before else left - 1
        if left <= 0:
            raise DownloadError(
                f"{url}: {shown(str(problem) or type(problem).__name__)}. {_size(part):,} bytes are kept in {part}; "
                "run the command again to continue."
            ) from problem
        time.sleep(pause)
    _check(url, part, size=size, checksum=checksum)
    part.replace(path)
    path_tag.unlink(missing_ok=True)


def _fetch(url: str, part: Path, path_tag: Path, *, size: int | None, progress: bool) -> None:
    """Append the missing bytes to the partial file.

    Raises:
        DownloadError: the server refuses, or its file has another size than `size` or more than `MAX_BYTES` bytes.
        OSError, HTTPException, ValueError: the connection broke; the next attempt goes on where it was.
    """
    have, deadline = _size(part), Deadline(_TIMEOUT_SECONDS)
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and path_tag.exists():
        headers["If-Range"] = path_tag.read_text(encoding="utf-8")
    with respond(url, deadline, headers) as response:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            _after_the_end(response, part, have)
            return
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            problem = f"the server answers {response.status} ({shown(response.reason)})"
            raise HttpError(problem) if response.status >= 500 else DownloadError(f"{url}: {problem}.")
        start, total = _range(response, have)
        limit = MAX_BYTES if size is None else size
        if total is not None and (total > limit or size not in (None, total)):
            part.unlink(missing_ok=True)
            raise DownloadError(f"{url}: the file has {total:,} bytes, expected are {limit:,}. Fetch it by hand.")
        if not start:
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            keep = tag and tag.isascii() and tag.isprintable() and not tag.startswith("W/")
            write_text(path_tag, tag) if keep else path_tag.unlink(missing_ok=True)
        bar = ProgressBar(f"fetching {part.stem}", unit="MB", shown=progress)
        try:
            end = _append(_renewing(body(response), deadline), part, start, limit, bar, total)
        except BrokenOffError:
            end = _size(part)
        except ExcessError as error:
            part.unlink()
            raise DownloadError(f"{url}: {error}. Fetch it by hand.") from None
    if end > limit:
        part.unlink()
        raise DownloadError(f"{url}: more than {limit:,} bytes, which is the limit. Fetch it by hand.")
    if total is not None and end != total:
        raise HttpError(f"broke off at {end:,} of {total:,} bytes")


def _renewing(parts: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
    """The parts; after each one, the server has the whole time again."""
    for part in parts:
        yield part
        deadline.renew()


def _append(parts: Iterator[bytes], path: Path, start: int, limit: int, bar: ProgressBar, total: int | None) -> int:
    """Size of the partial file after its content from `start` on is replaced; what exceeds `limit` is not written."""
    end = start
    bar.start(None if total is None else total // _MB)
    bar.skip(start // _MB)
    with path.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        try:
            for data in parts:
                end += len(data)
                if end > limit:
                    break
                file.write(data)
                bar.update(end // _MB)
        finally:
            bar.stop()
            file.flush()
            os.fsync(file.fileno())
    return end


def _range(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Byte offset at which the response begins, and the size of the whole file (`None`: not stated)."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", response.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, None if found[3] == "*" else int(found[3])
        raise HttpError(f"answered with the range {response.headers.get('Content-Range')!r}")
    return 0, response.length


def _after_the_end(response: HTTPResponse, part: Path, have: int) -> None:
    """After the server rejects the range: the file is complete, or it has changed and is fetched again."""
    total = (response.headers.get("Content-Range") or "").rpartition("/")[2]
    if total != str(have):
        part.unlink()
        raise HttpError("the partial file is longer than the file; starting again")


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
