"""The drawn world as a dataset."""

import multiprocessing

import numpy as np
import pytest

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.world import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset
from ahs_seg.data.world.names import seen_names
from ahs_seg.types import IGNORE


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


def test_only_names_of_the_list_are_labelled_and_all_pixels_are():
    world = WorldDataset(VALIDATION_SEED, 20, 20)
    found = np.unique(np.stack([world[index].labels for index in range(20)]))
    assert found.min() >= 0
    assert found.max() < 20


def test_a_share_of_every_scene_may_have_no_label():
    whole, part = WorldDataset(TRAIN_SEED, 9), WorldDataset(TRAIN_SEED, 9, unlabelled=0.25)
    places = set()
    for index in range(9):
        hidden = part[index].labels == IGNORE
        rows, columns = np.nonzero(hidden)
        assert hidden.sum() == 48 * 48  # half of either side
        assert [int(np.ptp(rows)), int(np.ptp(columns))] == [47, 47]
        places.add((rows[0], columns[0]))
        np.testing.assert_array_equal(part[index].image, whole[index].image)
        np.testing.assert_array_equal(part[index].labels[~hidden], whole[index].labels[~hidden])
        assert (whole[index].labels >= 0).all()
    assert len(places) > 5
    np.testing.assert_array_equal(part[3].labels, part[3].labels)
