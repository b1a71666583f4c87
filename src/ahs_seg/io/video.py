"""Frames of videos, decoded one by one with PyAV (extra `video`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import UInt8

from ahs_seg.errors import MissingPackageError, SampleError

if TYPE_CHECKING:
    from av.container import InputContainer

_LOCAL: Final = {"protocol_whitelist": "none"}
"""Options that keep the decoder from opening other files or URLs, as a playlist given as a video would do."""


def check_decoder() -> None:
    """Check that PyAV is installed, so that videos can be read.

    Raises:
        MissingPackageError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401  # checks that it is installed
    except ImportError:
        raise MissingPackageError(
            "videos are decoded by PyAV, which is not installed; install it with pip install 'ahs-seg[video]', "
            "or give images."
        ) from None


def count_frames(path: Path, *, every: int = 1) -> int:
    """Approximate number of frames that `read_frames` will yield, from the header; 0 if unknown."""
    import av

    try:
        with path.open("rb") as file, av.open(file, "r", options=_LOCAL) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                return 0
            frames = stream.frames
            if not frames and stream.average_rate and container.duration:
                frames = int(container.duration / 1_000_000 * stream.average_rate)
            return -(-frames // every)
    except (OSError, av.FFmpegError):
        return 0


def read_frames(path: Path, *, every: int = 1) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    """Yield every n-th frame with its index (from 0), as RGB with the rotation applied.

    Raises:
        SampleError: the file has no video stream, or is damaged (raised at the damaged frame).
    """
    import av

    try:
        with path.open("rb") as file, av.open(file, "r", options=_LOCAL) as container:
            yield from _decoded(container, path, every)
    except (OSError, av.FFmpegError) as error:
        raise SampleError(f"{path}: the video cannot be read to its end ({error}). Convert it to MP4.") from error


def _decoded(container: InputContainer, path: Path, every: int) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    if not container.streams.video:
        raise SampleError(f"{path}: has no video stream, only {[stream.type for stream in container.streams]}.")
    container.streams.video[0].thread_type = "AUTO"
    for index, frame in enumerate(container.decode(video=0)):
        if index % every == 0:
            turns = round(frame.rotation / 90)
            yield index, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
