from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ahs_seg.data.augment import (
    Augmentation,
    Crop,
    Resize,
    resize_labels,
)
from ahs_seg.data.base import Sample
from ahs_seg.types import IGNORE


def coded(height: int, width: int) -> Sample:
    """A sample whose image and labels spell the place of each pixel."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)
    return Sample(image, (rows * 1000 + columns).astype(np.int32), "coded")


def agrees(sample: Sample) -> bool:
    rows, columns = sample.image[..., 0].astype(int), sample.image[..., 1].astype(int)
    return bool((sample.labels == rows * 1000 + columns).all())


def test_labels_are_resized_as_by_torch_nearest():
    labels = np.random.default_rng(0).integers(-1, 150, (427, 640)).astype(np.int32)
    for height, width in [(384, 576), (500, 700), (100, 640)]:
        expected = F.interpolate(torch.from_numpy(labels)[None, None].double(), size=(height, width), mode="nearest")
        assert np.array_equal(resize_labels(labels, height, width), expected[0, 0].numpy())


def test_resize_uses_pillows_bilinear_filter():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    result = Resize(sizes=(20,)).apply(Sample(image, np.zeros((60, 90), np.int32), ""), np.random.default_rng(0))
    assert np.array_equal(result.image, np.asarray(Image.fromarray(image).resize((30, 20), Image.Resampling.BILINEAR)))
    assert result.labels.shape == (20, 30)


def test_resize_chooses_among_sizes():
    shapes = {Resize(sizes=(8, 16)).apply(coded(30, 40), np.random.default_rng(s)).labels.shape for s in range(20)}
    assert shapes == {(8, 11), (16, 21)}


def test_crop_moves_image_and_labels_together_and_reaches_every_place():
    corners = set()
    for seed in range(300):
        part = Crop(height=6, width=5).apply(coded(8, 7), np.random.default_rng(seed))
        assert part.labels.shape == (6, 5)
        assert agrees(part)
        corners.add(int(part.labels[0, 0]))
    assert corners == {row * 1000 + column for row in range(3) for column in range(3)}


def test_crop_of_a_smaller_image_is_padded_right_and_below():
    crop = Crop(height=6, width=9)
    result = crop.pad(crop.apply(coded(4, 20), np.random.default_rng(0)))
    assert result.labels.shape == (6, 9)
    assert (result.labels[4:] == IGNORE).all()
    assert (result.image[4:] == 128).all()
    assert agrees(Sample(result.image[:4], result.labels[:4], ""))


def test_crops_with_variety_are_preferred():
    labels = np.zeros((10, 100), np.int32)
    labels[:, 90:] = 1
    sample = Sample(np.zeros((10, 100, 3), np.uint8), labels, "")

    def varied(share: float) -> int:
        crop = Crop(height=10, width=12, largest_share=share)
        parts = [crop.apply(sample, np.random.default_rng(seed)).labels for seed in range(100)]
        return sum(len(np.unique(part)) > 1 for part in parts)

    assert varied(1.0) < 25
    assert varied(0.95) > 60


def test_flip_mirrors_both():
    sample = coded(5, 6)
    mirrored = Augmentation(resize=None, crop=None, colour=None, flip=1).apply(sample, np.random.default_rng(0))
    assert np.array_equal(mirrored.image, sample.image[:, ::-1])
    assert np.array_equal(mirrored.labels, sample.labels[:, ::-1])
    assert mirrored.image.flags.c_contiguous


def test_everything_off_is_the_sample():
    sample = coded(5, 6)
    same = Augmentation(resize=None, crop=None, colour=None, flip=0).apply(sample, np.random.default_rng(0))
    assert np.array_equal(same.image, sample.image)
    assert np.array_equal(same.labels, sample.labels)


def test_flip_only_flips_half_of_the_time():
    sample = coded(2, 3)
    flipped = [
        Augmentation(resize=None, crop=None, colour=None).apply(sample, np.random.default_rng(step)).labels[0, 0] != 0
        for step in range(400)
    ]
    assert 160 < sum(flipped) < 240


@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99))
def test_any_image_becomes_the_size_of_the_crop(height, width, seed):
    recipe = Augmentation(resize=Resize(sizes=(16, 24), longest=40), crop=Crop(height=20, width=28))
    before = coded(height, width)
    result = recipe.apply(before, np.random.default_rng(seed))
    assert result.image.shape == (20, 28, 3)
    assert result.labels.shape == (20, 28)
    assert result.image.dtype == np.uint8
    assert set(np.unique(result.labels)) <= {IGNORE, *np.unique(before.labels).tolist()}
    assert agrees(before)


def test_the_same_seed_step_and_position_give_the_same_sample():
    sample, recipe = coded(60, 80), Augmentation(resize=Resize(sizes=(40,)), crop=Crop(height=32, width=32))

    def at(*place: int) -> bytes:
        return recipe.apply(sample, np.random.default_rng(place)).image.tobytes()

    assert at(1, 2, 3) == at(1, 2, 3)
    assert len({at(1, 2, 3), at(2, 2, 3), at(1, 3, 3), at(1, 2, 4)}) == 4


def test_the_config_travels_through_yaml():
    recipe = Augmentation(resize=None, crop=Crop(height=96, width=128, largest_share=0.9))
    assert Augmentation.parse(yaml.safe_load(recipe.to_yaml())) == recipe


def test_a_crop_of_almost_one_class_is_drawn_again():
    """One class covers all but a corner; without the constraint most crops hold that class alone."""
    labels = np.zeros((40, 40), np.int32)
    labels[:14, :14] = 1
    sample = Sample(np.zeros((40, 40, 3), np.uint8), labels, "corner")
    shares = {}
    for limit in (1.0, 0.7):
        crop = Crop(height=16, width=16, largest_share=limit)
        found = [crop.apply(sample, np.random.default_rng(seed)).labels for seed in range(60)]
        shares[limit] = np.mean([max((part == 0).mean(), (part == 1).mean()) < 0.7 for part in found])
    assert shares[1.0] < 0.25
    assert shares[0.7] > 0.6
