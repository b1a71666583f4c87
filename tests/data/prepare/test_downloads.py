"""Against a server of this machine that breaks off in the middle, forgets, refuses or changes its file."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ahs_seg.data.prepare import downloads
from ahs_seg.data.prepare.ade20k_150 import ADE20K_150, SOURCE
from ahs_seg.data.prepare.downloads import DownloadError, download
from ahs_seg.io.drafts import FILE_ENDING
from tests.support import miniature
from tests.support.miniature import ADE150_LABELS, stored

CONTENT = bytes(k * k % 251 for k in range(100_000))
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    content = CONTENT
    tag = '"one"'
    limit: int | None = None  # bytes after which the connection is cut
    breaks = 0  # how often
    ranges = True
    status = 200
    stated: int | None = -1  # another Content-Length than is sent; None: no such header
    requests: list[str | None]

    def handle_error(self, request: object, address: object) -> None: ...


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        content, start = self.server.content, 0
        same = self.headers.get("If-Range") in (None, self.server.tag)
        if asked and self.server.ranges and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.server.tag)
        if self.server.stated is not None:
            self.send_header(
                "Content-Length", str(len(content) - start if self.server.stated < 0 else self.server.stated)
            )
        self.end_headers()
        end = len(content)
        if self.server.limit is not None and self.server.breaks:
            self.server.breaks -= 1
            end = start + self.server.limit
        self.wfile.write(content[start:end])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server: Server, path: Path, **options: Any) -> None:
    download(f"http://127.0.0.1:{server.server_port}/a.zip", path, **{"pause": 0.0, "progress": False} | options)


def test_whole_file(server, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / f"deep/.a.zip.part.tag.abcd1234{FILE_ENDING}").touch()  # of a killed run
    fetch(server, tmp_path / "deep/a.zip", size=len(CONTENT), checksum=SHA)
    assert (tmp_path / "deep/a.zip").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.zip"]


def test_a_connection_that_breaks_is_taken_up_where_it_was(server, tmp_path):
    server.limit, server.breaks = 30_000, 3
    fetch(server, tmp_path / "a.zip", checksum=SHA, attempts=1)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]


def test_the_next_run_goes_on_where_the_last_was_given_up(server, tmp_path):
    server.limit, server.breaks = 0, 99
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:40_000])
    with pytest.raises(DownloadError, match=r"broke off at 40,000 of 100,000 bytes.*40,000 bytes are kept in"):
        fetch(server, tmp_path / "a.zip", attempts=2)
    assert not (tmp_path / "a.zip").exists()
    server.limit = None
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests == ["bytes=40000-"] * 3


def test_a_server_without_ranges_begins_again(server, tmp_path):
    server.limit, server.breaks, server.ranges = 30_000, 2, False
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_begins_again(server, tmp_path):
    server.limit, server.breaks = 30_000, 1
    server.content, server.tag = CONTENT[::-1], '"old"'
    with pytest.raises(DownloadError, match="broke off"):
        fetch(server, tmp_path / "a.zip", attempts=0)
    server.content, server.tag = CONTENT, '"new"'
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_part_that_is_whole_only_gets_its_name(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_part_that_is_too_long_begins_again(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("expected", "message"),
    [({"size": 99}, "has 100,000 bytes, expected are 99"), ({"checksum": "md5:00"}, "has the md5 .*, expected is 00")],
)
def test_another_content_never_gets_the_name(server, tmp_path, expected, message):
    with pytest.raises(DownloadError, match=message):
        fetch(server, tmp_path / "a.zip", **expected)
    assert not list(tmp_path.glob("a.zip")) + list(tmp_path.glob("*.part"))


def test_refusals(server, tmp_path):
    server.status = 403
    with pytest.raises(DownloadError, match=r"/a\.zip: the server answers 403 \(Forbidden\)"):
        fetch(server, tmp_path / "a.zip")
    assert len(server.requests) == 1
    server.status = 503
    with pytest.raises(DownloadError, match="503"):
        fetch(server, tmp_path / "a.zip", attempts=3)
    assert len(server.requests) == 4
    with pytest.raises(DownloadError, match="only http and https"):
        download("file:///etc/passwd", tmp_path / "a")


def test_more_bytes_than_stated_are_no_download(server, tmp_path):
    server.stated = 30_000
    with pytest.raises(DownloadError, match="sends more than the 30,000 bytes that it states"):
        fetch(server, tmp_path / "a.zip", attempts=1)
    assert not (tmp_path / "a.zip").exists()


def test_a_range_with_fewer_or_more_bytes_than_the_file_has_is_no_download(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:40_000])
    server.stated = None
    server.limit, server.breaks = 10_000, 1
    with pytest.raises(DownloadError, match="broke off at 50,000 of 100,000 bytes"):
        fetch(server, tmp_path / "a.zip", attempts=0)
    fetch(server, tmp_path / "a.zip", checksum=SHA)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("expected", [{"size": 60_000}, {}])
def test_a_download_without_end_is_bounded(server, tmp_path, monkeypatch, expected):
    monkeypatch.setattr(downloads, "MAX_BYTES", 60_000)
    server.stated = None
    with pytest.raises(DownloadError, match="more than 60,000 bytes, which is the limit"):
        fetch(server, tmp_path / "a.zip", **expected)
    server.stated = -1
    with pytest.raises(DownloadError, match="the file has 100,000 bytes, expected are 60,000"):
        fetch(server, tmp_path / "a.zip", **expected)
    assert not list(tmp_path.glob("a.zip")) + list(tmp_path.glob("*.part"))
    assert len(server.requests) == 2


def test_a_server_that_says_nothing_more_is_not_waited_for(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(Handler, "do_GET", lambda handler: time.sleep(1))
    with pytest.raises(DownloadError, match=r"(timed out|no response in time)\. 0 bytes are kept"):
        fetch(server, tmp_path / "a.zip", attempts=2)


def test_a_data_set_from_a_server_that_breaks_off(server, tmp_path, monkeypatch):
    miniature.ade150(tmp_path / "published")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "published")).read_bytes()
    server.content, server.limit, server.breaks = packed, len(packed) // 3, 2
    monkeypatch.setattr(time, "sleep", lambda _: None)
    source = replace(
        SOURCE,
        url=f"http://127.0.0.1:{server.server_port}/ADEChallengeData2016.zip",
        size=len(packed),
        checksum=f"sha1:{hashlib.sha1(packed).hexdigest()}",
    )
    preparation, root = replace(ADE20K_150, sources=(source,)), tmp_path / "root"
    summary = preparation.run(root, fetch=True, workers=1, progress=False)
    assert (summary.made, len(server.requests)) == (2, 3)
    assert stored("ade20k-150", root)["ADE_val_00000001"] == ADE150_LABELS
    assert [path.name for path in (root / "downloads").iterdir()] == ["ADEChallengeData2016.zip"]
