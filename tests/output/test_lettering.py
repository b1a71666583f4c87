from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ahs_seg.output.lettering import outline_of, shortened, width_of, write, write_outlined

SIZE = 24


def drawn(text: str, *, outlined: bool = False, background: tuple[int, int, int] = (90, 90, 90)) -> np.ndarray:
    image = Image.new("RGB", (400, 60), background)
    draw = ImageDraw.Draw(image)
    if outlined:
        write_outlined(draw, (10, 30), text, SIZE)
    else:
        write(draw, (10, 30), text, SIZE, (255, 255, 255))
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("text", ["sofa", "天空道路", "सड़क car", "سماء"])
def test_a_text_fills_the_width_it_is_said_to_have(text: str) -> None:
    columns = np.flatnonzero((drawn(text) != 90).any((0, 2)))
    assert columns[0] >= 8
    assert columns[-1] < 10 + width_of(text, SIZE) + 3
    assert columns[-1] - columns[0] > 0.7 * width_of(text, SIZE)


def test_capitals_stand_in_the_middle_of_their_line() -> None:
    rows = np.flatnonzero((drawn("HEH") != 90).any((1, 2)))
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(30, abs=1)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (230, 200, 60)])
def test_an_outlined_text_is_read_on_any_colour(background: tuple[int, int, int]) -> None:
    found = drawn("H", outlined=True, background=background).sum(-1)
    assert found.max() > 700
    assert found.min() < 80
    assert outline_of(SIZE) == 3


def test_arabic_is_joined_and_runs_from_right_to_left() -> None:
    assert width_of("سماء", SIZE) < sum(width_of(letter, SIZE) for letter in "سماء")
    first = np.flatnonzero((drawn("اسس") != 90).any((0, 2)))
    assert first.size
    tall = np.flatnonzero((drawn("اسس")[:22] != 90).any((0, 2)))
    assert tall.min() > 10 + width_of("اسس", SIZE) / 2, "the first letter, the tall one, stands at the right"


def test_long_texts_are_shortened_to_a_width() -> None:
    text = "a very long name of a class"
    assert shortened(text, SIZE, 1000) == text
    short = shortened(text, SIZE, 120)
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert width_of(short, SIZE) <= 120 < width_of(text[: len(short) + 2] + "…", SIZE)
