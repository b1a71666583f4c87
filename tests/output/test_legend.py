from __future__ import annotations

import numpy as np

from ahs_seg.output.legend import LegendEntry, overlay_with_legend, with_legend

RED, BLUE = (200, 30, 30), (30, 30, 200)


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
    result = overlay_with_legend(image, labels, ["sky", "road", "car"], strength=1.0)
    panel = result[:, 256:]
    for row in (50, 200):
        assert shows(panel, tuple(result[row, 10].tolist()))
