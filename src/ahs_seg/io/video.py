"""Frames of videos, decoded by PyAV (extra `video`), one after the other."""

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
"""A playlist that is called a video must not make the decoder open other files or addresses."""


def check_decoder() -> None:
    """Do nothing if videos can be read.

    Raises:
        MissingPackageError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401  # only looked for
    except ImportError:
        raise MissingPackageError(
            "videos are decoded by PyAV, which is not installed; install it with pip install 'ahs-seg[video]', "
            "or give pictures."
        ) from None


def count_frames(path: Path, *, every: int = 1) -> int:
    """About how many frames `read_frames` is going to give, from the header; 0 if that does not say."""
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
    """Every n-th frame with its number from 0, RGB and upright.

    Raises:
        SampleError: a file without video, or from the place on where it is damaged.
    """
    import av

    try:
        with path.open("rb") as file, av.open(file, "r", options=_LOCAL) as container:
            yield from _decoded(container, path, every)
    except (OSError, av.FFmpegError) as error:
        raise SampleError(f"{path}: not a video that can be read to its end ({error}). Convert it to MP4.") from error


def _decoded(container: InputContainer, path: Path, every: int) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    if not container.streams.video:
        raise SampleError(f"{path}: holds no video, only {[stream.type for stream in container.streams]}.")
    container.streams.video[0].thread_type = "AUTO"
    for index, frame in enumerate(container.decode(video=0)):
        if index % every == 0:
            turns = round(frame.rotation / 90)
            yield index, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
