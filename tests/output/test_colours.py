from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahs_seg.output.colour_distance import lab_of, visible_difference
from ahs_seg.output.colours import TOUCHING, ClassColours, palette, touching
from ahs_seg.output.palette import Colour
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

NAMES = [f"kind {index}" for index in range(150)]
EIGHT = ["cat", "dog", "sofa", "lamp", "carpet", "window", "plant", "cup"]
ZEBU, CAT = (118, 216, 255), (71, 86, 1)
"""Colours of "zebu" and of "猫"."""


def smallest(colours: Mapping[int, Colour], pairs: Iterable[tuple[int, int]]) -> float:
    """Smallest difference of the pairs."""
    one, other = zip(*((colours[first], colours[second]) for first, second in pairs), strict=True)
    return float(visible_difference(np.array(one, np.uint8), np.array(other, np.uint8)).min())


def every(colours: ClassColours, count: int) -> dict[int, Colour]:
    return {label: colours.of(label) for label in range(count)}


def hue_of(colour: tuple[int, int, int]) -> float:
    _, a, b = lab_of(np.array([colour], np.uint8))[0]
    return float(np.degrees(np.arctan2(b, a)))


def test_a_colour_comes_from_the_name_and_not_from_its_place():
    assert ClassColours(["zebu"]).of(0) == ClassColours(["cat", "zebu"]).of(1) == ZEBU
    assert ClassColours([" Zebu"]).of(0) == ClassColours(["zebu"]).of(0)
    assert ClassColours(["fire_hall"]).of(0) == ClassColours(["Fire  hall"]).of(0)


def test_the_digest_of_a_name_is_the_same_on_every_machine():
    assert ClassColours(["zebu", "猫", "\udcff"]).of(0) == ZEBU
    assert ClassColours(["猫"]).of(0) == CAT


@settings(max_examples=15)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=40), st.text(max_size=8))
def test_a_word_at_the_end_changes_no_colour_before_it(names, word):
    before, after = ClassColours(names), ClassColours([*names, word])
    assert [before.of(label) for label in range(len(names))] == [after.of(label) for label in range(len(names))]


def test_the_classes_of_a_short_list_are_told_apart_without_an_image():
    colours = ClassColours(EIGHT)
    assert smallest(every(colours, 8), combinations(range(8), 2)) >= 3


def test_classes_that_touch_look_different_with_and_without_deuteranopia():
    rng = np.random.default_rng(0)
    for _ in range(5):
        labels = rng.choice(150, 25, replace=False).reshape(5, 5)
        colours = ClassColours(NAMES).for_image(labels)
        assert smallest(colours, touching(labels)) >= 10


def test_only_the_shade_of_a_class_changes_in_an_image():
    labels = np.random.default_rng(1).integers(0, 150, (12, 12))
    colours, found = ClassColours(NAMES), ClassColours(NAMES).for_image(labels)
    changed = [label for label in found if found[label] != colours.of(label)]
    assert changed
    for label in changed:
        assert abs((hue_of(found[label]) - hue_of(colours.of(label)) + 180) % 360 - 180) < 15


def test_an_image_whose_classes_look_different_keeps_their_colours():
    names = ["zebu", "猫"]
    assert smallest({0: ZEBU, 1: CAT}, [(0, 1)]) > TOUCHING
    assert ClassColours(names).for_image(np.array([[0, 1]])) == {0: ZEBU, 1: CAT}


def test_maps_that_are_seen_together_share_their_colours():
    rng = np.random.default_rng(2)
    one, other = rng.integers(0, 150, (5, 5)), rng.integers(0, 150, (5, 5))
    together = ClassColours(NAMES).for_image(one, other)
    assert set(together) == set(np.unique([one, other]).tolist())
    assert smallest(together, touching(one) | touching(other)) >= 9


def test_well_known_classes_have_the_colours_that_people_expect():
    red, green, blue = np.array([ClassColours(["person", "grass", "sky"]).of(label) for label in range(3)], int)
    assert red[0] > red[1] + 80
    assert green[1] > green[2] + 80
    assert blue[2] > blue[0] + 80


@pytest.mark.parametrize(("name", "least"), [("pascal-voc-20", 4), ("pascal-context-59", 2), ("coco-stuff-171", 0.5)])
def test_well_known_lists_are_spread_over_the_palette(name: str, least: float) -> None:
    names = Vocabulary.known(name).labels
    colours = ClassColours(names)
    assert smallest(every(colours, len(names)), combinations(range(len(names)), 2)) >= least


def test_labels_touch_side_by_side_and_above_but_not_across_corners(monkeypatch):
    labels = np.array([[3, 3, 9], [IGNORE, 5, 3], [7, 7, IGNORE]])
    expected = {(3, 9), (3, 5), (5, 7)}
    assert touching(labels) == expected


@pytest.mark.parametrize("background", [(255, 255, 255), (24, 26, 31)])
def test_every_colour_is_seen_on_light_and_on_dark_pages(background):
    colours = palette()
    assert visible_difference(colours, np.tile(np.array(background, np.uint8), (len(colours), 1))).min() > 10
