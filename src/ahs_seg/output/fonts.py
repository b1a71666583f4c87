"""Fonts for names in any script: packaged ones, then those of the system.

Packaged are DejaVu Sans (with matplotlib; Latin, Greek, Cyrillic, Arabic, Hebrew and more), Noto Sans Devanagari, and
Droid Sans Fallback (Chinese, Japanese, Korean), both in `assets/fonts` with their licences. A character that none of
them has is looked for in the fonts of the system. A name that cannot be written is shown as its number, with a warning
that says what to install; no boxes are drawn.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from PIL import ImageFont, features

from ahs_seg.io.outside_text import on_one_line

logger = logging.getLogger(__name__)

_PACKAGED: Final = ("NotoSansDevanagari-Regular.ttf", "DroidSansFallback.ttf")
_PROBE: Final = 20
_RIGHT_TO_LEFT: Final = ("R", "AL")
_JOINED: Final = range(0x0900, 0x0E00), range(0x1000, 0x10A0), range(0x1780, 0x1800)
"""Scripts of India and South-East Asia whose letters change places and forms beside one another."""


@lru_cache(256)
def font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels."""
    return _DrawnOnce(str(path), size)


class _DrawnOnce(ImageFont.FreeTypeFont):
    """A font that remembers what it has drawn, since the same names stand on many images."""

    def getmask2(self, text: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """As of any font; the masks are only read."""
        return _mask(self, text, args, tuple(sorted(kwargs.items())))


@lru_cache(4096)
def _mask(font: _DrawnOnce, text: str | bytes, args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    return ImageFont.FreeTypeFont.getmask2(font, text, *args, **dict(options))


@lru_cache(4096)
def runs_of(text: str) -> tuple[tuple[str, Path], ...] | None:
    """The text in parts that one font can write each, from left to right; `None` if some character has no font."""
    runs: list[tuple[str, Path]] = []
    for char in text:
        attached = unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf", "Zs")
        if runs and (attached or ord(char) in _characters(runs[-1][1])):
            runs[-1] = (runs[-1][0] + char, runs[-1][1])
        elif (found := _font_with(ord(char))) is not None:
            runs.append((char, found))
        else:
            return None
    if not _can_be_shaped(text):
        return None
    first = next((d for d in map(unicodedata.bidirectional, text) if d in ("L", *_RIGHT_TO_LEFT)), "L")
    return tuple(runs if first == "L" else reversed(runs))


def writable(name: str, number: int) -> str:
    """The name on one line, or "class 12" if a font for it is missing, of which a warning is given once."""
    text = on_one_line(name)
    if runs_of(text) is not None:
        return text
    _warn_once(text)
    return f"class {number}"


@cache
def _warned() -> list[str]:
    return []


def _warn_once(text: str) -> None:
    if _warned():
        return
    _warned().append(text)
    if _can_be_shaped(text):
        remedy = "install one, for example Noto Sans of its script (Debian and Ubuntu: apt install fonts-noto)"
        logger.warning("no font here can write %r: images show the number of the class instead; %s", text, remedy)
    else:
        logger.warning(
            "Pillow here cannot shape the script of %r (no raqm): images show the number of the class instead; "
            "install FriBiDi, or the wheel of Pillow from PyPI",
            text,
        )


def _can_be_shaped(text: str) -> bool:
    if features.check("raqm"):
        return True
    return not any(
        unicodedata.bidirectional(char) in _RIGHT_TO_LEFT or any(ord(char) in block for block in _JOINED)
        for char in text
    )


@cache
def _packaged() -> tuple[Path, ...]:
    import matplotlib  # takes a quarter of a second, and only names on images need it

    folder = Path(str(resources.files("ahs_seg").joinpath("assets", "fonts")))
    first = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return first, *(folder / name for name in _PACKAGED)


@lru_cache(4096)
def _font_with(code: int) -> Path | None:
    """The first font that has a character."""
    return next((path for path in _fonts() if code in _characters(path)), None)


def _fonts() -> Iterator[Path]:
    yield from _packaged()
    yield from _of_the_system()


@cache
def _of_the_system() -> tuple[Path, ...]:
    from matplotlib.font_manager import findSystemFonts  # as above

    return tuple(sorted(map(Path, findSystemFonts()), key=lambda path: ("Regular" not in path.name, str(path))))


@lru_cache(1024)
def _characters(path: Path) -> frozenset[int]:
    """Characters of a font; none of one that cannot be read, or that has pictures of one size only."""
    from matplotlib.ft2font import FT2Font  # as above

    try:
        ImageFont.truetype(str(path), _PROBE)
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
