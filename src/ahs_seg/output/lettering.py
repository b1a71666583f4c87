"""Words on images: measured and drawn in the fonts that their scripts need, with an outline for any background."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PIL import ImageDraw

from ahs_seg.output.fonts import font, runs_of
from ahs_seg.output.palette import Colour

WHITE: Final = (255, 255, 255)
OUTLINE: Final = (18, 20, 24)

_CAPITAL: Final = 0.365
"""Half the height of a capital letter, as a share of the size: what stands above the middle of a line."""


@lru_cache(8192)
def width_of(text: str, size: int) -> int:
    """Width in pixels of a text that `fonts.writable` returned, without its outline."""
    return -int(-sum(font(path, size).getlength(part) for part, path in runs_of(text) or ()) // 1)


def shortened(text: str, size: int, width: int) -> str:
    """The text, or as much of its beginning as fits into the width, with an ellipsis."""
    if width_of(text, size) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle] + "…", size) <= width else (low, middle - 1)
    return text[:low].rstrip() + "…"


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int | float, int | float],
    text: str,
    size: int,
    fill: Colour,
    *,
    outline: int = 0,
) -> None:
    """Draw a text to the right of `place`, the middle of its left edge, with a dark outline of this width in pixels."""
    left, baseline = place[0], place[1] + _CAPITAL * size
    for part, path in runs_of(text) or ():
        chosen = font(path, size)
        draw.text((left, baseline), part, fill, chosen, "ls", stroke_width=outline, stroke_fill=OUTLINE)
        left += chosen.getlength(part)


def write_outlined(draw: ImageDraw.ImageDraw, place: tuple[int | float, int | float], text: str, size: int) -> None:
    """Draw a text in white with a dark outline, to be read on any colour; `place` as in `write`."""
    write(draw, place, text, size, WHITE, outline=outline_of(size))


def outline_of(size: int) -> int:
    """Width of the outline in pixels."""
    return max(1, round(size / 9))
