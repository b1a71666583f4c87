"""Writers for results of any size, row by row from top to bottom; a file appears when it is complete."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

import numpy as np
from jaxtyping import Int32, Shaped, UInt8

from ahs_seg.inference.tiling import Band
from ahs_seg.io.atomic import replacing_file
from ahs_seg.io.png import SIGNATURE, png_chunk
from ahs_seg.output.formats.geotiff import BLOCK, LabelWriter, label_writer
from ahs_seg.output.formats.overlay import note_of, write_image
from ahs_seg.output.formats.png import PALETTE_SIZE, palette_of, write_names
from ahs_seg.output.legend import OverlayStyle, overlay_with_legend
from ahs_seg.vocabulary.vocabulary import Vocabulary

LONGEST: Final = 2000
"""Longest side of an overlay, in pixels; larger ones are downsampled."""


class Sink(Protocol):
    """An output file that is written band by band."""

    def write(self, band: Band) -> None:
        """Write the next rows."""

    def finish(self, pixels: Mapping[int, int], warnings: Sequence[str] = ()) -> None:
        """Complete the file; `pixels` holds the pixel count of every label, `warnings` say why they may mean little."""


class PngSink:
    """Writes the label map as PNG with a file of class names, like `formats.png`."""

    def __init__(self, file: IO[bytes], path: Path, size: tuple[int, int], vocabulary: Vocabulary) -> None:
        self._file = file
        self._path = path
        self._vocabulary = vocabulary
        self._packer = zlib.compressobj(6)
        self._wide = len(vocabulary) > PALETTE_SIZE
        depth, kind = (16, 0) if self._wide else (8, 3)
        file.write(SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], depth, kind, 0, 0, 0))
        if not self._wide:
            self._chunk(b"PLTE", palette_of(vocabulary))

    def write(self, band: Band) -> None:
        """Write the next rows, each preceded by the PNG filter byte 0 (no filter)."""
        lines = band.labels.astype(">u2").view(np.uint8) if self._wide else band.labels.astype(np.uint8)
        packed = self._packer.compress(np.pad(lines, ((0, 0), (1, 0))).tobytes())
        if packed:
            self._chunk(b"IDAT", packed)

    def finish(self, pixels: Mapping[int, int], warnings: Sequence[str] = ()) -> None:
        """Write the end of the PNG and the class names; a label map has no place for `warnings`."""
        del warnings
        self._chunk(b"IDAT", self._packer.flush())
        self._chunk(b"IEND", b"")
        order = sorted(pixels, key=lambda label: (-pixels[label], label))
        write_names(self._path, self._vocabulary.labels, {label: pixels[label] for label in order})

    def _chunk(self, kind: bytes, content: bytes) -> None:
        self._file.write(png_chunk(kind, content))


class RowBuffer:
    """Buffer that returns rows in multiples of `multiple` and keeps the remainder."""

    def __init__(self, multiple: int) -> None:
        self._multiple = multiple
        self._rows: Shaped[np.ndarray, "*_"] | None = None

    def add(self, rows: Shaped[np.ndarray, "*_"]) -> Shaped[np.ndarray, "*_"]:
        """Add rows; returns the rows that are complete multiples now, possibly none."""
        rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        whole = len(rows) - len(rows) % self._multiple
        self._rows = rows[whole:].copy()
        return rows[:whole]

    def rest(self) -> Shaped[np.ndarray, "*_"]:
        """The remaining rows."""
        assert self._rows is not None, "something was added"
        return self._rows


class GeoTiffSink:
    """Writes the label map as GeoTIFF in complete blocks, like `formats.geotiff`."""

    def __init__(self, writer: LabelWriter) -> None:
        self._writer = writer
        self._rows = RowBuffer(BLOCK)
        self._top = 0

    def write(self, band: Band) -> None:
        """Write the next rows, as far as they fill complete blocks."""
        self._put(self._rows.add(band.labels))

    def finish(self, pixels: Mapping[int, int], warnings: Sequence[str] = ()) -> None:
        """Write the last rows; the rest is not used, as a GeoTIFF stores no counts and no warnings."""
        del pixels, warnings
        self._put(self._rows.rest())

    def _put(self, rows: Int32[np.ndarray, "h W"]) -> None:
        if len(rows):
            self._writer.write(rows, top=self._top)
            self._top += len(rows)


class OverlaySink:
    """Writes the image with a colour overlay of its classes and a legend, at most `LONGEST` pixels a side."""

    def __init__(
        self, path: Path, size: tuple[int, int], vocabulary: Vocabulary, style: OverlayStyle | None = None
    ) -> None:
        self._path = path
        self._style = style
        self._vocabulary = vocabulary
        factor = -(-max(size) // LONGEST)
        self._steps = min(factor, size[0]), min(factor, size[1])
        self._labels, self._image = RowBuffer(self._steps[0]), RowBuffer(self._steps[0])
        self._small: list[tuple[Shaped[np.ndarray, "h w"], UInt8[np.ndarray, "h w 3"]]] = []

    def write(self, band: Band) -> None:
        """Add the next rows, downsampled by blocks: label of the centre pixel, mean colour."""
        down, right = self._steps
        labels, image = self._labels.add(band.labels), self._image.add(band.image)
        height, width = len(labels) // down, labels.shape[1] // right
        if height:
            blocks = image[: height * down, : width * right].reshape(height, down, width, right, 3)
            small = blocks.mean((1, 3)).astype(np.uint8)
            self._small.append((labels[down // 2 :: down, right // 2 :: right][:height, :width].copy(), small))

    def finish(self, pixels: Mapping[int, int], warnings: Sequence[str] = ()) -> None:
        """Write the overlay; its legend is computed from the downsampled labels, so `pixels` is not used."""
        del pixels
        labels = np.concatenate([labels for labels, _ in self._small])
        image = np.concatenate([image for _, image in self._small])
        names, note = self._vocabulary.labels, note_of(warnings)
        write_image(self._path, overlay_with_legend(image, labels, names, style=self._style, note=note))


@contextmanager
def open_sinks(
    paths: Mapping[str, Path],
    source: Path,
    size: tuple[int, int],
    vocabulary: Vocabulary,
    style: OverlayStyle | None = None,
) -> Iterator[list[Sink]]:
    """Open one sink per format (`png`, `geotiff`, `overlay`) and path; after an error no partial files remain."""
    with ExitStack() as stack:
        sinks: list[Sink] = []
        for name, path in paths.items():
            if name == "overlay":
                sinks.append(OverlaySink(path, size, vocabulary, style))
            elif name == "png":
                sinks.append(PngSink(stack.enter_context(replacing_file(path)), path, size, vocabulary))
            else:
                writer = label_writer(path, vocabulary, size=size, like=source)
                sinks.append(GeoTiffSink(stack.enter_context(writer)))
        yield sinks
