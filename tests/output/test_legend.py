from __future__ import annotations

import numpy as np
import pytest

from ahs_seg.output.colours import ClassColours
from ahs_seg.output.legend import LegendEntry, OverlayStyle, overlay_with_legend, with_legend
from tests.support.memory import peak_bytes

RED, BLUE = (200, 30, 30), (30, 30, 200)
PLAIN = OverlayStyle(names=False, strength=1.0)


def shows(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(-1).any())


def test_the_panel_stands_right_of_the_untouched_image():
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    result = with_legend(image, [LegendEntry("sky", RED, "40 %"), LegendEntry("road", BLUE)])
    assert result.shape[0] == 300
    assert np.array_equal(result[:, :200], image)
    assert shows(result[:, 200:], RED)
    assert shows(result[:, 200:], BLUE)


def test_entries_that_do_not_fit_are_counted():
    image = np.zeros((100, 100, 3), np.uint8)
    few = with_legend(image, [LegendEntry(f"{k}", (k, 0, 0)) for k in range(30)])[:, 100:]
    shown = sum(shows(few, (k, 0, 0)) for k in range(30))
    assert 1 <= shown < 8
    assert not shows(few, (29, 0, 0))


def test_long_names_do_not_make_long_panels():
    image = np.zeros((300, 300, 3), np.uint8)
    assert with_legend(image, [LegendEntry("a" * 3000, RED)]).shape[1] < 900


def test_no_entries_and_one_pixel():
    assert with_legend(np.zeros((1, 1, 3), np.uint8), []).shape[0] == 1
    assert overlay_with_legend(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), int), ["sky"]).shape[0] == 256


def test_segmented_lists_what_was_found_in_the_colours_of_the_image():
    image, labels = np.full((256, 256, 3), 90, np.uint8), np.zeros((256, 256), int)
    labels[:100] = 1
    result = overlay_with_legend(image, labels, ["sky", "road", "car"], style=PLAIN)
    panel = result[:, 256:]
    for row in (50, 200):
        assert shows(panel, tuple(result[row, 10].tolist()))


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 20_000), (1, 2_000_000), (2_000_000, 1)])
def test_a_strip_takes_the_memory_of_its_pixels_not_of_a_square(size: tuple[int, int]) -> None:
    image, labels = np.zeros((*size, 3), np.uint8), np.zeros(size, np.int32)
    assert peak_bytes(lambda: overlay_with_legend(image, labels, ["sky"])) < 120_000_000


def test_the_legend_of_a_strip_can_be_read() -> None:
    image, labels = np.zeros((1, 3000, 3), np.uint8), np.zeros((1, 3000), np.int32)
    labels[:, 1000:] = 1
    result = overlay_with_legend(image, labels, ["sky", "road"])
    assert result.shape[0] > 50
    assert result.shape[1] > 3000
    for label in (0, 1):
        assert shows(result[:, 3000:], ClassColours(["sky", "road"]).of(label))


def test_an_overlay_of_many_pixels_is_made_block_by_block() -> None:
    image, labels = np.zeros((4000, 4000, 3), np.uint8), np.zeros((4000, 4000), np.int32)
    assert peak_bytes(lambda: overlay_with_legend(image, labels, ["sky"])) < 15 * labels.size


def test_a_note_is_the_first_line():
    image, labels = np.full((256, 256, 3), 90, np.uint8), np.zeros((256, 256), int)
    plain = overlay_with_legend(image, labels, ["sky"], style=PLAIN)
    noted = overlay_with_legend(image, labels, ["sky"], style=PLAIN, note="doubtful")
    colour = ClassColours(["sky"]).of(0)
    first = np.flatnonzero((plain[:, 256:] == colour).all(-1).any(1))[0]
    second = np.flatnonzero((noted[:, 256:] == colour).all(-1).any(1))[0]
    assert second - first == round(11 * 1.7)


def bands(*labels: int, size: int = 300) -> np.ndarray:
    return np.array(labels).repeat(-(-size // len(labels)))[:size, None].repeat(400, 1)


def test_overlays_of_equal_images_are_equally_large_whatever_is_on_them() -> None:
    names = ["a", "a class with quite a long name", *(f"class {index}" for index in range(150))]
    image = np.zeros((300, 400, 3), np.uint8)
    shapes = {overlay_with_legend(image, bands(*found), names).shape for found in ([0], [1], range(60), [-1], [2, 3])}
    assert len(shapes) == 1
    low = np.zeros((20, 400, 3), np.uint8)
    assert len({overlay_with_legend(low, bands(*found, size=20), names).shape for found in ([0], [0, 1, 2, 3, 4])}) == 1


def test_without_names_and_legend_there_is_the_image_in_colours() -> None:
    image, names = np.full((300, 400, 3), 90, np.uint8), ["sky", "road"]
    bare = overlay_with_legend(image, bands(0, 1), names, style=OverlayStyle(names=False, legend=False))
    assert bare.shape == image.shape
    assert len(np.unique(bare.reshape(-1, 3), axis=0)) == 3, "two colours and the line between them"
    named = overlay_with_legend(image, bands(0, 1), names, style=OverlayStyle(legend=False))
    changed = np.flatnonzero((named != bare).any((1, 2)))
    for middle in (75, 225):
        assert np.abs(changed - middle).min() <= 2
    assert (named != bare).any(-1).mean() < 0.05
    whole = overlay_with_legend(image, bands(0, 1), names)
    assert np.array_equal(whole[:, :400], named)


def test_the_frames_of_a_film_keep_the_colours_of_their_classes() -> None:
    names = [f"kind {index}" for index in range(150)]
    image, seen, bare = np.zeros((300, 400, 3), np.uint8), set(), OverlayStyle(legend=False)
    for other in range(0, 149, 9):
        frame = overlay_with_legend(image, bands(149, other), names, style=bare, colours=ClassColours(names).every())
        seen.add(tuple(frame[20, 5].tolist()))
    assert len(seen) == 1
