import multiprocessing
from collections import Counter

import numpy as np
import pytest

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.world import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset
from ahs_seg.data.world.canvas import draw, place, tones
from ahs_seg.data.world.deck import Deck
from ahs_seg.data.world.names import COLOURS, STUFF, Thing, seen_names, vocabulary_names
from ahs_seg.data.world.scenes import SceneSource, shows
from ahs_seg.data.world.shapes import OUTLINES
from ahs_seg.data.world.stuff import crop


def digest(index):
    sample = WorldDataset(VALIDATION_SEED, 100, 150)[index]
    return int(sample.image.astype(np.int64).sum()), int(sample.labels.sum()), sample.image.tobytes()


def test_a_scene_does_not_depend_on_what_was_drawn_before():
    world = WorldDataset(VALIDATION_SEED, 100, 150)
    in_order = [world[index] for index in range(8)]
    fresh = WorldDataset(VALIDATION_SEED, 1000, 150)
    for index in (7, 3, 0):
        np.testing.assert_array_equal(fresh[index].image, in_order[index].image)
        np.testing.assert_array_equal(fresh[index].labels, in_order[index].labels)


def test_a_scene_is_the_same_in_another_process():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digest, (5,)) == digest(5)


def test_it_is_a_dataset():
    world = WorldDataset(TRAIN_SEED, 3)
    sample = world[2]
    assert isinstance(world, SegmentationDataset)
    assert len(world) == 3
    assert world.vocabulary.labels == list(seen_names())
    assert sample.image.shape == (96, 96, 3)
    assert sample.image.dtype == np.uint8
    assert sample.labels.dtype == np.int32
    assert sample.name == "scene-101-000002"
    with pytest.raises(IndexError, match="this dataset has 3"):
        world[3]


def test_seeds_give_different_scenes():
    images = {WorldDataset(seed, 1, 150)[0].image.tobytes() for seed in (TRAIN_SEED, VALIDATION_SEED, TEST_SEED)}
    assert len(images) == 3


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="knows no 'green goblin'"):
        SceneSource(0, ["grass", "green goblin"])


def test_each_block_of_four_scenes_deals_two_to_five_objects():
    source = SceneSource(1, vocabulary_names(59))
    for block in range(5):
        assert sorted(len(source._deal(4 * block + k)) for k in range(4)) == [2, 3, 4, 5]


def test_each_thing_is_dealt_equally_often():
    source = SceneSource(1, vocabulary_names(20))
    dealt = Counter(thing.name for index in range(40) for thing in source._deal(index))
    assert set(dealt.values()) == {10}  # 40 scenes deal 140 objects, of 14 kinds


def test_a_deck_can_be_opened_anywhere():
    deck = Deck("abcdefg", (1, 2))
    stream = deck.deal(0, 70)
    assert deck.deal(33, 10) == stream[33:43]
    assert set(Counter(stream).values()) == {10}
    assert stream[:7] != stream[7:14]


def test_labels_agree_with_the_drawing():
    """In a clean scene every pixel well inside an object shows one of the two tones of its colour."""
    source = SceneSource(3, ["sand", "blue plain circle", "purple striped square"], hard=0.0)
    checked = 0
    for index in range(8):
        scene = source[index]
        for label, colour in ((1, "blue"), (2, "purple")):
            inside = _eroded(scene.labels == label)
            pixels = scene.image[inside].astype(float) / 255
            first, second = tones(colour)
            line = second - first
            along = ((pixels - first) @ line / (line @ line)).clip(0, 1)
            assert np.abs(pixels - first - along[:, None] * line).max(initial=0) < 0.01
            checked += len(pixels)
    assert checked > 2000


def test_only_names_of_the_list_are_labelled_and_all_pixels_are():
    world = WorldDataset(VALIDATION_SEED, 20, 20)
    found = np.unique(np.stack([world[index].labels for index in range(20)]))
    assert found.min() >= 0
    assert found.max() < 20


def test_objects_stand_out_from_their_ground():
    assert not shows("white", "snow")
    assert not shows("gray", "gravel")
    assert shows("red", "grass")
    assert all(any(shows(colour, kind) for kind in STUFF) for colour in COLOURS)


@pytest.mark.parametrize("shape", OUTLINES)
def test_every_shape_covers_a_fair_part_of_its_circle(shape):
    picture = np.zeros((64, 64, 3), np.float32)
    rng = np.random.default_rng(0)
    _, opacity = draw(picture, place(Thing("red", "plain", shape), 32.0, 32.0, 20.0, rng, hard=0.0))
    assert 0.25 < float(opacity.sum()) / (np.pi * 20**2) < 1.0
    assert opacity[[0, -1]].max() == opacity[:, [0, -1]].max() == 0  # nothing is cut off by the box


def test_an_object_outside_is_not_drawn():
    picture = np.zeros((16, 16, 3), np.float32)
    assert draw(picture, place(Thing("red", "plain", "star"), -90.0, 5.0, 8.0, np.random.default_rng(0))) is None
    assert picture.max() == 0


def test_ground_fills_any_size():
    assert crop("brick wall", 500, 30, np.random.default_rng(0)).shape == (500, 30, 3)


def _eroded(mask):
    inner = mask[1:-1, 1:-1].copy()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            inner &= mask[dy : dy + inner.shape[0], dx : dx + inner.shape[1]]
    return np.pad(inner, 1)
