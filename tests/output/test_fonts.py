from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont, features

from ahs_seg.output import fonts
from ahs_seg.output.fonts import runs_of, writable


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch):
    """A machine without fonts of its own, on which nobody was warned."""
    caches = (fonts._font_with, fonts.runs_of, fonts._warned)
    monkeypatch.setattr(fonts, "_of_the_system", lambda: ())
    for one in caches:
        one.cache_clear()
    yield
    for one in caches:
        one.cache_clear()


@pytest.mark.parametrize(
    "name", ["sofa", "μπλε", "столб", "天空", "ひこうき", "도로", "سماء", "שמיים", "व्यक्ति", "größe"]
)
def test_names_of_many_scripts_are_written_on_any_machine(name: str, bare: None) -> None:
    assert writable(name, 3) == name


def test_a_name_is_split_where_no_one_font_has_both_scripts(bare: None) -> None:
    assert [part for part, _ in runs_of("कार car 天") or ()] == ["कार ", "car ", "天"]
    assert [part for part, _ in runs_of("سماء 天空") or ()] == ["天空", "سماء "], "from left to right"
    assert len(runs_of("إشارة sign") or ()) == 1


def test_without_a_font_the_number_is_written_and_one_warning_says_what_to_install(
    bare: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert [writable("ทางเท้า", 3), writable("ถนน", 4), writable("road", 5)] == ["class 3", "class 4", "road"]
    (record,) = caplog.records
    assert "'ทางเท้า'" in record.getMessage()
    assert "apt install" in record.getMessage()


def test_a_font_of_the_system_is_used_if_the_packaged_ones_do_not_have_a_character(
    bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = fonts._packaged()
    monkeypatch.setattr(fonts, "_packaged", lambda: own[:1])
    monkeypatch.setattr(fonts, "_of_the_system", lambda: (Path("missing.ttf"), own[2]))
    assert runs_of("天空") == (("天空", own[2]),)


def test_without_raqm_names_that_need_it_are_not_drawn_wrongly(
    bare: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    with caplog.at_level(logging.WARNING):
        assert [writable(name, 7) for name in ("سماء", "कार", "天空", "road")] == ["class 7", "class 7", "天空", "road"]
    assert "FriBiDi" in caplog.text


def test_hidden_characters_are_written_out() -> None:
    assert writable("a\nb\u202e", 0) == "a\\u000ab\\u202e"


@pytest.mark.parametrize("stroke", [0, 2])
@pytest.mark.parametrize("place", [(3, 30), (3.25, 30.5)])
def test_a_font_draws_what_pillow_does_the_first_time_and_again(stroke: int, place: tuple[float, float]) -> None:
    (_, path), *_ = runs_of("Straße") or ()

    def drawn(font: ImageFont.FreeTypeFont) -> bytes:
        image = Image.new("RGB", (120, 40), (90, 20, 160))
        draw = ImageDraw.Draw(image)
        draw.text(place, "Straße", (255, 255, 255), font, "ls", stroke_width=stroke, stroke_fill=(0, 0, 0))
        return image.tobytes()

    expected = drawn(ImageFont.truetype(str(path), 19))
    assert [drawn(fonts.font(path, 19)) for _ in range(2)] == [expected] * 2
