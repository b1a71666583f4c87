"""Overlay images with the names of classes on their regions, and a legend of names and colours beside them.

The size of an overlay depends on the size of its image and on the vocabulary only, so that all frames of a film, and
all overlays of equal images, are equally large whatever is seen on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw
from pydantic import Field

from ahs_seg.config import Config
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.fonts import writable
from ahs_seg.output.lettering import outline_of, shortened, width_of, write, write_outlined
from ahs_seg.output.palette import Colour, areas, enlarge, overlay
from ahs_seg.output.region_names import place_names

LONGEST_SIDE: Final = 30_000
"""Longest side of an overlay in pixels, without its legend."""

_PAPER: Final = (250, 250, 248)
_INK: Final = (34, 36, 40)
_QUIET: Final = (120, 122, 128)
_LEAST_ENTRIES: Final = 4
_TEXT_SIZES: Final = (11, 44)
_NAME_WIDTHS: Final = (6, 20)
"""Least and greatest width of the column of names, as multiples of the size of the text."""
_WIDEST_NOTE: Final = "100 %"


OverlayFormat = Literal["png", "jpg", "webp"]


class OverlayStyle(Config):
    """What is drawn on an overlay: names on the large regions, a legend beside it; opacity of the colours, 0 to 1.

    `file_format` is that of the overlays of runs over folders; in `Segmentation.save`, the path says it.
    """

    names: bool = True
    legend: bool = True
    strength: Annotated[float, Field(ge=0, le=1)] = 0.6
    file_format: OverlayFormat = "png"


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend: name, colour and an optional note such as the area share."""

    name: str
    colour: Colour
    note: str = ""


def overlay_with_legend(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "H W"],
    names: Sequence[str],
    *,
    style: OverlayStyle | None = None,
    note: str = "",
    colours: Mapping[int, Colour] | None = None,
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Overlay of the labels on the image, with the names of its classes as `style` says (None: with all).

    Small images are enlarged by pixel repetition to leave room for the legend; strips with a side above `LONGEST_SIDE`
    are downsampled to it. `note` is the first line of the legend. Without `colours`, they are those of
    `ClassColours.for_image`.
    """
    style = style or OverlayStyle()
    step = -(-max(labels.shape) // LONGEST_SIDE)
    shown, shown_labels = (np.ascontiguousarray(pixels[::step, ::step]) for pixels in (image, labels))
    present = areas(labels)
    colours = ClassColours(names).for_image(labels) if colours is None else colours
    large = enlarge(shown_labels)
    tinted = overlay(enlarge(shown), large, colours, strength=style.strength)
    size = _text_size(tinted)
    if style.names:
        write_names_on(tinted, large, {label: writable(names[label], label) for label in present}, size)
    if not style.legend:
        return tinted
    entries = [
        LegendEntry(writable(names[label], label), colours[label], _percent(count / labels.size))
        for label, count in present.items()
    ]
    return with_legend(tinted, entries, note=note, room=(_widest(tuple(names), size), len(names)))


def write_names_on(
    image: UInt8[np.ndarray, "H W 3"], labels: Integer[np.ndarray, "H W"], names: Mapping[int, str], size: int
) -> None:
    """Write the names of the large regions on an image, which is changed; see `region_names`."""
    edge = outline_of(size)

    def size_of(text: str) -> tuple[int, int]:
        return round(1.3 * size) + 2 * edge, width_of(text, size) + 2 * edge + size // 4

    for one in place_names(labels, names, size_of):
        left, top, right, bottom = one.box
        part = Image.fromarray(image[top:bottom, left:right])
        middle = (edge + size / 8, (bottom - top) / 2)
        write_outlined(ImageDraw.Draw(part), middle, one.text, size)
        image[top:bottom, left:right] = part


def with_legend(
    image: UInt8[np.ndarray, "H W 3"],
    entries: Sequence[LegendEntry],
    *,
    note: str = "",
    room: tuple[int, int] | None = None,
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Image with a legend panel on its right; entries that do not fit are counted in the last line.

    `note` stands above them. `room` is the width of the names and the number of entries that the panel is made for
    (None: those given). It has room for four entries: an image that is lower gets a margin below it.
    """
    size = _text_size(image)
    line, margin = round(size * 1.7), size
    names = [writable(entry.name, number) for number, entry in enumerate(entries)]
    least, most = (factor * size for factor in _NAME_WIDTHS)
    widest, count = room or (max((width_of(name, size) for name in names), default=0), len(entries))
    name_width = min(max(widest, least), most)
    left = margin + size + size // 2
    width = left + name_width + size + width_of(_WIDEST_NOTE, size) + margin
    notes = _lines(writable(note, 0), size, width - 2 * margin) if note else []
    height = max(image.shape[0], bool(count) * 2 * margin + line * min(count, _LEAST_ENTRIES))
    fitting = max(1, (height - 2 * margin) // line - len(notes))
    shown = list(zip(entries, names, strict=True))[:fitting]
    if len(entries) > fitting:
        more = f"and {len(entries) - fitting + 1} more"
        shown = [*shown[: fitting - 1], (LegendEntry(more, _PAPER), more)]
    panel = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(panel)
    for row, text in enumerate(notes):
        write(draw, (margin, margin + row * line + size / 2), text, size, _INK)
    for row, (entry, name) in enumerate(shown, len(notes)):
        top = margin + row * line
        draw.rounded_rectangle((margin, top, margin + size, top + size), size // 4, fill=entry.colour)
        write(draw, (left, top + size / 2), shortened(name, size, name_width), size, _INK)
        note_left = width - margin - width_of(entry.note, size)
        write(draw, (note_left, top + size / 2), entry.note, size, _QUIET)
    canvas = np.empty((height, image.shape[1] + width, 3), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    canvas[image.shape[0] :, : image.shape[1]] = _PAPER
    canvas[:, image.shape[1] :] = panel
    return canvas


def _text_size(image: UInt8[np.ndarray, "H W 3"]) -> int:
    return int(np.clip(min(image.shape[:2]) / 26, *_TEXT_SIZES))


@lru_cache(64)
def _widest(names: tuple[str, ...], size: int) -> int:
    """Width of the widest name, up to where the widest column ends."""
    widest = 0
    for index, name in enumerate(names):
        widest = max(widest, width_of(writable(name, index), size))
        if widest >= _NAME_WIDTHS[1] * size:
            break
    return widest


def _lines(text: str, size: int, width: int) -> list[str]:
    """The words of a text in lines of a width."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _percent(share: float) -> str:
    return "<1 %" if share < 0.01 else f"{share * 100:.0f} %"
