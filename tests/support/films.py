"""Films whose frames are known."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream


def film(
    path: Path,
    count: int = 7,
    *,
    codec: str = "mpeg4",
    image: np.ndarray | None = None,
    times: Sequence[int] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """A film of 10 frames per second: frame k is grey of 30 k, or `image`.

    Frame k is shown at `times[k]` tenths of a second. The table of frames of an MP4
    stands at its beginning, so that a part of the file can be read.
    """
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    height, width = (48, 64) if image is None else image.shape[:2]
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags or {})
        stream = cast(VideoStream, container.add_stream(codec, rate=10))
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24" if codec == "png" else "yuv420p"
        for index in range(count):
            grey = np.full((height, width, 3), 30 * index % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey if image is None else image, format="rgb24")
            frame.pts = index if times is None else times[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """The beginning of a file, in its place."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def with_cover_art_first(path: Path) -> Path:
    """An MP4 whose first video stream is its cover art, a grey image of 32x32, and the second a film of 7 frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = Disposition.attached_pic.value  # type: ignore[assignment]  # PyAV 15 takes nothing else
        for index in range(7):
            grey = np.full((48, 64, 3), 30 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9, np.uint8), format="rgb24")))
        container.mux(stream.encode())
        container.mux(cover.encode())
    content = bytearray(path.read_bytes())
    start, end = next((start + 8, end) for kind, start, end in _boxes(content, 0, len(content)) if kind == b"moov")
    parts = [bytes(content[first:last]) for _, first, last in _boxes(content, start, end)]
    content[start:end] = b"".join([parts[0], parts[-1], *parts[1:-1]])  # the tags with the cover before the film
    path.write_bytes(content)
    return path


def with_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """An MP4 whose display matrix begins with these four numbers (a, b, c, d), in its place."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    start = content.find(b"tkhd") + 44
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def _boxes(content: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start < end:
        length = int.from_bytes(content[start : start + 4], "big")
        yield bytes(content[start + 4 : start + 8]), start, start + length
        start += length
