"""Frames of videos, decoded one by one with PyAV (extra `video`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from jaxtyping import UInt8

from ahs_seg.errors import SampleError
from ahs_seg.io.extras import require_extra
from ahs_seg.io.orientation import UPRIGHT, Orientation

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS: Final = 40_000_000
"""Maximum number of pixels of a video frame; 8K video has 33 million. A decoder holds up to about 20 frames."""
THREADS: Final = 4
"""Maximum number of threads of a decoder; each holds a frame."""

_OPTIONS: Final = {"protocol_whitelist": "none", "max_pixels": str(MAX_FRAME_PIXELS)}
"""Options that keep the decoder from opening other files or URLs, as a playlist given as a video would do."""
_MATROSKA_DURATION: Final = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_USUAL_RATE: Final = 25
"""Frames in a second of a video that does not say."""
_UNANNOUNCED_FRAMES: Final = 3
"""Frames that may be missing where their number is computed from the duration of the video."""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A frame of a video: its number from 0, the time in seconds from the first at which it is shown, and its pixels.

    `step` is the time to the next frame at the rate of the video; `clock` the unit of time of the file, in seconds.
    """

    index: int
    start: Fraction
    step: Fraction
    clock: Fraction
    pixels: UInt8[np.ndarray, "H W 3"]


def check_decoder() -> None:
    """Check that PyAV is installed, so that videos can be read.

    Raises:
        MissingPackageError: PyAV is not installed.
    """
    require_extra("video", "reading videos", otherwise="give images")


def count_frames(path: Path, *, every: int = 1) -> int:
    """Approximate number of frames that `read_frames` will yield, from the header; 0 if unknown."""
    try:
        with _opened(path) as (_, stream):
            return -(-_announced(stream) // every)
    except SampleError:
        return 0


def read_frames(path: Path, *, every: int = 1) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    """Yield every n-th frame with its index (from 0), as RGB, rotated and mirrored as the file says.

    Raises:
        SampleError: the file has no video stream or no frames, its frames are too large, it is damaged (raised at the
            damaged frame), or it has fewer frames than it announces (raised after the last frame).
    """
    for frame in read_timed_frames(path, every=every):
        yield frame.index, frame.pixels


def read_timed_frames(path: Path, *, every: int = 1) -> Iterator[TimedFrame]:
    """As `read_frames`, each frame with the time at which it is shown.

    Raises:
        SampleError: as by `read_frames`.
    """
    with _opened(path) as (container, stream):
        yield from _Frames(path, container, stream).decoded(every)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    import av

    try:
        with path.open("rb") as file, av.open(file, "r", options=_OPTIONS, metadata_errors="replace") as container:
            yield container, _film(container, path)
    except (OSError, av.FFmpegError) as error:
        raise SampleError(f"{path}: the video cannot be opened ({error}). Convert it to MP4.") from error


def _film(container: InputContainer, path: Path) -> VideoStream:
    """The stream of moving images: not cover art, and rather one with several frames or marked as the default."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    films = [stream for stream in container.streams.video if not stream.disposition & still]
    if not films:
        cover = "only cover art and " if container.streams.video else "only "
        kinds = [stream.type for stream in container.streams if stream.type != "video"]
        raise SampleError(f"{path}: has no video stream, {cover}{kinds}. Give a video, or the image itself.")
    moving = [stream for stream in films if stream.frames != 1] or films
    film = max(moving, key=lambda stream: bool(stream.disposition & Disposition.default))
    codec = film.codec_context
    if codec is None:
        raise SampleError(f"{path}: no decoder for its video stream. Convert it to MP4.")
    if codec.width * codec.height > MAX_FRAME_PIXELS:
        raise SampleError(
            f"{path}: frames of {codec.width}x{codec.height}; at most {MAX_FRAME_PIXELS:,} pixels are decoded. "
            "Shrink the video."
        )
    codec.options = {"max_pixels": _OPTIONS["max_pixels"]}
    codec.thread_type = "AUTO"
    codec.thread_count = THREADS
    return film


class _Frames:
    """The frames of a stream, counted and compared with what the file announces."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.container = container
        self.stream = stream
        self.read = 0
        self.hidden = 0
        """Announced frames that are not shown: cut off by an edit list, or without content."""
        self.end = 0.0
        self.first: int | None = None
        """Time stamp of the first frame that was given out."""

    def decoded(self, every: int) -> Iterator[TimedFrame]:
        """Yield every n-th frame, then check that none is missing."""
        import av

        try:
            for frame in self._shown():
                if self.read % every == 0:
                    yield self._timed(frame)
                self.read += 1
        except (OSError, av.FFmpegError, ValueError) as error:
            # Most decoders forget a size that they refuse.
            large = (
                "" if self.stream.width else f"If its frames have more than {MAX_FRAME_PIXELS:,} pixels, shrink it. "
            )
            raise SampleError(
                f"{self.path}: the video cannot be read to its end, only {self._found(self._expected)} ({error}). "
                f"{large}Copy it again, or convert it to MP4."
            ) from error
        if not self.read:
            raise SampleError(f"{self.path}: its video stream has no frames. Copy it again or leave it out.")
        if self.read < self._expected:
            raise SampleError(
                f"{self.path}: only {self._found(self._expected)} that the file announces; the rest is missing. "
                "Copy it again; the frames that are there are used."
            )

    def _timed(self, frame: VideoFrame) -> TimedFrame:
        rate = self.stream.average_rate or self.stream.guessed_rate or _USUAL_RATE
        clock = frame.time_base or 1 / Fraction(rate)
        if frame.pts is None:
            start = self.read / Fraction(rate)
        else:
            self.first = frame.pts if self.first is None else self.first
            start = (frame.pts - self.first) * clock
        return TimedFrame(self.read, start, 1 / Fraction(rate), clock, _pixels(frame))

    def _shown(self) -> Iterator[VideoFrame]:
        for packet in self.container.demux(self.stream):
            self.hidden += packet.is_discard or (packet.dts is not None and not packet.size)
            for frame in packet.decode():
                if frame.pts is not None and frame.time_base:
                    start = self.stream.start_time or 0
                    self.end = max(self.end, float((frame.pts + (frame.duration or 0) - start) * frame.time_base))
                yield frame

    def _found(self, expected: int) -> str:
        return (
            f"{self.read} of {'' if self.stream.frames else 'about '}{expected} frames"
            if expected
            else (f"{self.read} frames")
        )

    @property
    def _expected(self) -> int:
        """The number of frames that are to be shown; 0: the file announces none, or its duration is reached."""
        rate, seconds = float(self.stream.average_rate or 0), _seconds(self.stream)
        if self.stream.frames:
            # AVI counts every tick of its clock as a frame, also those at which nothing new is shown.
            repeated = round(self.end * rate) - self.read if self.container.format.name == "avi" else 0
            return self.stream.frames - self.hidden - max(0, repeated)
        missing = (seconds - self.end) * rate
        return round(seconds * rate) if missing > _UNANNOUNCED_FRAMES else 0


def _announced(stream: VideoStream) -> int:
    return stream.frames or round(_seconds(stream) * float(stream.average_rate or 0))


def _seconds(stream: VideoStream) -> float:
    """Duration of the stream as its header states it; 0 if it does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    found = _MATROSKA_DURATION.match(stream.metadata.get("DURATION", ""))
    return float(found[1]) * 3600 + float(found[2]) * 60 + float(found[3]) if found else 0.0


def _pixels(frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
    return np.ascontiguousarray(_orientation(frame).upright(frame.to_ndarray(format="rgb24")))


def _orientation(frame: VideoFrame) -> Orientation:
    from av.sidedata.sidedata import Type

    found = cast(Mapping[Type, bytes], frame.side_data)  # PyAV declares the keys of motion vectors only
    if Type.DISPLAYMATRIX not in found:
        return UPRIGHT
    matrix = found[Type.DISPLAYMATRIX]
    return Orientation.of_matrix(np.frombuffer(matrix, np.int32).tolist())
