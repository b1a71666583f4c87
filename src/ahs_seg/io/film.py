"""Films (H.264 in MP4) written frame by frame with PyAV (extra `video`), each frame at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from jaxtyping import UInt8

from ahs_seg.io.atomic import replacing_path

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

ENCODERS: Final = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
"""Encoders of H.264, the best first."""
_OPTIONS: Final = {"libx264": {"crf": "18", "preset": "veryfast", "bf": "0"}}
_BT_601: Final = 6
_LIMITED: Final = 1
"""Conversion from RGB that FFmpeg makes; without these marks players take another for large films."""
_FINEST_CLOCK: Final = Fraction(1, 90_000)


def h264_encoder() -> str | None:
    """Name of the H.264 encoder of this PyAV; `None` if it has none."""
    import av

    return next((name for name in ENCODERS if name in av.codecs_available), None)


class FilmWriter:
    """A film that is being written; all frames have one size, with an even number of rows and columns."""

    def __init__(self, container: OutputContainer, stream: VideoStream, clock: Fraction) -> None:
        self._container = container
        self._stream = stream
        self._clock = clock
        self._lasting: dict[int, int] = {}
        self._last = -1

    def write(self, pixels: UInt8[np.ndarray, "H W 3"], start: Fraction, duration: Fraction) -> None:
        """Add a frame that is shown from `start` for `duration`, in seconds; frames come in the order of time."""
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.time_base = self._clock
        frame.pts = self._last = max(round(start / self._clock), self._last + 1)
        self._lasting[self._last] = max(1, round(duration / self._clock))
        self._mux(frame)

    def finish(self) -> None:
        """Write the frames that the encoder still holds."""
        self._mux(None)

    def _mux(self, frame: object) -> None:
        for packet in self._stream.encode(cast("None", frame)):
            packet.duration = self._lasting.pop(packet.pts or 0, 1)
            self._container.mux(packet)


@contextmanager
def film_writer(
    path: Path, size: tuple[int, int], *, step: Fraction, clock: Fraction | None = None
) -> Iterator[FilmWriter]:
    """Writer of an MP4 with frames of `size` (height, width), which appears at `path` when the block ends normally.

    `step` is the usual time from frame to frame and `clock` the unit of all times (None: as fine as films have it), in
    seconds. The caller has checked that there is an encoder (`h264_encoder`).
    """
    import av

    name = h264_encoder()
    assert name is not None, "an encoder was found"
    unit = max(clock or _FINEST_CLOCK, _FINEST_CLOCK)
    with (
        replacing_path(path) as draft,
        av.open(str(draft), "w", format="mp4", options={"movflags": "faststart"}) as file,
    ):
        stream = cast("VideoStream", file.add_stream(name, rate=(1 / step).limit_denominator(100_000)))
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.options = _OPTIONS.get(name, {})
        stream.codec_context.time_base = stream.time_base = unit
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT_601, _LIMITED
        writer = FilmWriter(file, stream, unit)
        yield writer
        writer.finish()
