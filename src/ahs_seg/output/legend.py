"""Overlay images with a legend of class names and colours drawn beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from ahs_seg.io.outside_text import on_one_line
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.palette import Colour, areas, enlarge, overlay

LONGEST_SIDE: Final = 30_000
"""Longest side of an overlay in pixels, without its legend."""

_PAPER: Final = (250, 250, 248)
_INK: Final = (34, 36, 40)
_QUIET: Final = (120, 122, 128)
_LONGEST_NAME: Final = 36
_LEAST_ENTRIES: Final = 4
_TEXT_SIZES: Final = (11, 44)


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
    strength: float = 0.6,
    note: str = "",
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Overlay of the labels on the image, with a legend of the classes present and their area shares.

    Small images are enlarged by pixel repetition to leave room for the legend; strips with a side above `LONGEST_SIDE`
    are downsampled to it. `note` is the first line of the legend.
    """
    step = -(-max(labels.shape) // LONGEST_SIDE)
    shown, shown_labels = (np.ascontiguousarray(pixels[::step, ::step]) for pixels in (image, labels))
    present = areas(labels)
    colours = ClassColours(names).for_image(labels)
    entries = [LegendEntry(note, _PAPER)] if note else []
    entries += [
        LegendEntry(names[label], colours[label], _percent(count / labels.size)) for label, count in present.items()
    ]
    tinted = overlay(enlarge(shown), enlarge(shown_labels), colours, strength=strength)
    return with_legend(tinted, entries)


def with_legend(image: UInt8[np.ndarray, "H W 3"], entries: Sequence[LegendEntry]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Image with a legend panel on its right; entries that do not fit are counted in the last line.

    The panel has room for four entries: an image that is lower gets a margin below it.
    """
    size = int(np.clip(min(image.shape[:2]) / 26, *_TEXT_SIZES))
    line, margin = round(size * 1.7), size
    height = max(image.shape[0], bool(entries) * 2 * margin + line * min(len(entries), _LEAST_ENTRIES))
    fitting = max(1, (height - 2 * margin) // line)
    shown = list(entries[:fitting])
    if len(entries) > fitting:
        shown = [*entries[: fitting - 1], LegendEntry(f"and {len(entries) - fitting + 1} more", _PAPER)]
    font = _font(size)
    names = [_shortened(entry.name) for entry in shown]
    name_width = max((font.getlength(name) for name in names), default=0)
    note_width = max((font.getlength(entry.note) for entry in shown), default=0)
    left = margin + size + size // 2
    width = int(left + name_width + (size + note_width if note_width else 0) + margin)
    panel = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(panel)
    for row, (entry, name) in enumerate(zip(shown, names, strict=True)):
        top = margin + row * line
        draw.rounded_rectangle((margin, top, margin + size, top + size), size // 4, fill=entry.colour)
        middle = top + size / 2
        draw.text((left, middle), name, fill=_INK, font=font, anchor="lm")
        draw.text((width - margin, middle), entry.note, fill=_QUIET, font=font, anchor="rm")
    canvas = np.full((height, image.shape[1] + width, 3), _PAPER, np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    canvas[:, image.shape[1] :] = panel
    return canvas


def _percent(share: float) -> str:
    return "<1 %" if share < 0.01 else f"{share * 100:.0f} %"


def _shortened(name: str) -> str:
    name = on_one_line(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans font, packaged with matplotlib; covers Latin, Greek, Cyrillic and other scripts."""
    font = resources.files("matplotlib").joinpath("mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
    with resources.as_file(font) as path:
        return ImageFont.truetype(path, size)
