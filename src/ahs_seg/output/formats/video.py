"""Video format: the overlay of every frame of a video as a film (H.264 in MP4) with the rate and times of the source.

During the run the labels of a frame are kept as a small part, so that frames may come in any order, from any process,
and a killed run continues. At the end each video is read once more, and its overlays are drawn and encoded one by one.
All frames have the size of the first, and a class has one colour, chosen once for the whole film. Needs the extra
`video`.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, read_mapping
from ahs_seg.errors import SampleError
from ahs_seg.io.extras import require_extra
from ahs_seg.io.failures import failure_of
from ahs_seg.io.film import ENCODERS, film_writer, h264_encoder
from ahs_seg.io.read_ahead import read_ahead
from ahs_seg.io.video import TimedFrame, read_timed_frames
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportItem, FormatError
from ahs_seg.output.formats.overlay import DOUBTFUL
from ahs_seg.output.formats.parts import FilePart, Parts
from ahs_seg.output.legend import OverlayStyle, overlay_with_legend
from ahs_seg.output.palette import Colour
from ahs_seg.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

SUFFIX: Final = ".overlay.mp4"
"""End of the names of films: `film.mp4` gives `film.overlay.mp4`."""

_LOOKED_AT: Final = 300
"""Frames, spread over the film, from which the shades of its classes are chosen."""
_WORKERS: Final = 2
_AHEAD: Final = 4
"""Frames that are drawn at once, and that may wait to be encoded."""


def check_film_encoder() -> None:
    """Check that films can be written.

    Raises:
        MissingPackageError: PyAV is not installed.
        FormatError: it has no H.264 encoder.
    """
    require_extra("video", "the format video", otherwise="choose the format overlay, an image for each frame")
    if h264_encoder() is None:
        raise FormatError(
            f"PyAV here has no encoder of H.264 (looked for: {', '.join(ENCODERS)}), which the format video needs. "
            "Install the wheel from PyPI (pip install --force-reinstall --only-binary av av), or choose the format "
            "overlay."
        )


def film_part(item: ExportItem) -> FilePart:
    """The labels of a frame; nothing for an image, of which there is no film."""
    if item.frame is None:
        return {}
    buffer = io.BytesIO()
    Image.fromarray((item.result.labels + 1).astype(np.uint16)).save(buffer, "PNG", compress_level=1)
    return {
        "video": None if item.frame.path is None else str(item.frame.path.absolute()),
        "doubtful": bool(item.result.warnings),
        "labels": base64.b64encode(buffer.getvalue()).decode(),
    }


def join_films(
    output: Path, vocabulary: Vocabulary, parts: Parts, style: OverlayStyle | None = None
) -> tuple[Path, ...]:
    """Paths of the films, one for each video with parts.

    A video that cannot be read any more, or has other frames than when it was segmented, costs its own film: a warning
    says so, and a film of an earlier run stays.
    """
    written = []
    for folder in sorted({path.parent for path in parts.folder.rglob("*.json")}):
        name = folder.relative_to(parts.folder).as_posix()
        path = output / (name + SUFFIX)
        try:
            if (source := _source_of(folder)) is not None:
                written.append(Film(source, folder, vocabulary.labels, style).write(path))
        except Exception as error:  # noqa: BLE001  # this film is left out, see `io.failures`
            kept = f"{path} stays as it is" if path.exists() else f"{path} is not written"
            logger.warning("%s; %s", kept, failure_of(error, name))
    return tuple(written)


def _source_of(folder: Path) -> Path | None:
    """The video whose frames have their parts in this folder, where it was when the newest was added; None: images."""
    newest_first = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = (_read(path).get("video") for path in newest_first)
    return next((Path(source) for source in found if source is not None), None)


class Film:
    """The film of one video, drawn from the parts of its frames in `folder`."""

    def __init__(self, source: Path, folder: Path, names: list[str], style: OverlayStyle | None) -> None:
        self.source = source
        self.folder = folder
        self.names = names
        self.style = style
        self._end = Fraction(0)
        self._colours = self._chosen_colours()

    def _chosen_colours(self) -> dict[int, Colour]:
        """Colours that are the same in all frames, with classes told apart that touch in any (of those looked at)."""
        known = ClassColours(self.names)
        paths = sorted(self.folder.glob("*.json"))
        looked_at = paths[:: -(-len(paths) // _LOOKED_AT)]
        return known.every() | known.for_images(_labels_of(_read(path)) for path in looked_at)

    def write(self, path: Path) -> Path:
        """Path of the film, which is whole when it appears: each frame is shown until the next, the last to the end."""
        with closing(read_ahead(self._frames(), self._drawn, workers=_WORKERS, ahead=_AHEAD)) as drawn:
            frame, pixels = next(drawn, (None, None))
            if frame is None or pixels is None:
                raise FormatError(
                    f"{self.source}: has no frame any more that was segmented. Put the video back and resume, or "
                    "segment it again, without resume."
                )
            size = (pixels.shape[0] + pixels.shape[0] % 2, pixels.shape[1] + pixels.shape[1] % 2)
            with film_writer(path, size, step=frame.step, clock=frame.clock) as film:
                for following, next_pixels in drawn:
                    film.write(_fitted(pixels, size), frame.start, following.start - frame.start)
                    frame, pixels = following, next_pixels
                film.write(_fitted(pixels, size), frame.start, max(self._end - frame.start, frame.step))
        return path

    def _frames(self) -> Iterator[tuple[TimedFrame, FilePart]]:
        """The frames that were segmented, with their parts; those before the place where a video is damaged."""
        try:
            for frame in read_timed_frames(self.source):
                self._end = frame.start + frame.step
                path = self.folder / f"{frame.index:06d}.json"
                if path.exists():
                    yield frame, _read(path)
        except SampleError as error:
            logger.debug("%s: the film ends early: %s", self.source, error)  # the run has reported it as failed

    def _drawn(self, one: tuple[TimedFrame, FilePart]) -> tuple[TimedFrame, UInt8[np.ndarray, "_ _ 3"]]:
        frame, part = one
        labels = _labels_of(part)
        if labels.shape != frame.pixels.shape[:2]:
            raise FormatError(f"{self.source}: has changed since it was segmented. Segment it again, without resume.")
        note = DOUBTFUL if part["doubtful"] else ""
        pixels = overlay_with_legend(
            frame.pixels, labels, self.names, style=self.style, note=note, colours=self._colours
        )
        return frame, pixels


def _read(path: Path) -> FilePart:
    return dict(read_mapping(path, limit=MAX_LARGE_DOCUMENT_BYTES))


def _labels_of(part: FilePart) -> Int32[np.ndarray, "H W"]:
    with Image.open(io.BytesIO(base64.b64decode(part["labels"]))) as image:
        return np.asarray(image).astype(np.int32) - 1


def _fitted(pixels: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """A frame of this size: an odd side gets its last line twice, as H.264 has even ones; others are scaled."""
    missing = size[0] - pixels.shape[0], size[1] - pixels.shape[1]
    if all(0 <= lines <= 1 for lines in missing):
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0])))
