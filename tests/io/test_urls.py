import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import ImageError
from ahs_seg.io.urls import fetch, read_source

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = self.path.strip("/")
        moved = {"moved": "/photo", "file": "file:///etc/hostname", "ftp": "ftp://127.0.0.1/x", "circle": "/circle"}
        self.send_response(302 if page in moved else 404 if page == "missing" else 200)
        if page in moved:
            self.send_header("Location", moved[page])
        if page == "stated":
            self.send_header("Content-Length", "100000000")
        self.end_headers()
        if page == "photo":
            self.wfile.write(png())
        if page == "text":
            self.wfile.write(b"no image")
        while page in ("endless", "stated", "slow"):
            self.wfile.write(b"0" * (1 if page == "slow" else 65536))
            time.sleep(0.05 if page == "slow" else 0)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("page", ["photo", "moved"])
def test_images_are_downloaded(site, page):
    assert np.array_equal(read_source(f"{site}/{page}"), PIXELS)
    assert np.array_equal(read_source(png()), PIXELS)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("missing", "the server answers 404"),
        ("text", "/text: empty, or not in a supported format"),
        ("file", "redirects to file:///etc/hostname, which is not downloaded"),
        ("ftp", "redirects to ftp://"),
        ("circle", "more than 5 redirects"),
    ],
)
def test_what_is_wrong_is_said(site, page, message):
    with pytest.raises(ImageError, match=message):
        read_source(f"{site}/{page}")


@pytest.mark.parametrize("page", ["endless", "stated"])
def test_size_is_limited(site, page):
    with pytest.raises(ImageError, match="more than 1,000,000 bytes"):
        fetch(f"{site}/{page}", max_bytes=1_000_000)


def test_time_is_limited(site):
    began = time.monotonic()
    with pytest.raises(ImageError, match="no response in time"):
        fetch(f"{site}/slow", seconds=0.4)
    assert time.monotonic() - began < 5


def test_nobody_there():
    with pytest.raises(ImageError, match="cannot be downloaded"):
        fetch("http://127.0.0.1:9/x.jpg")
