"""Tiles: where they lie, what they weigh, and that their seams cannot be seen where context suffices."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ahs_seg.config import ConfigError
from ahs_seg.inference.predict import InferenceConfig, predict
from ahs_seg.inference.tiling import TileAxis, TileConfig, TileMerger
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.methods.refinement import PamrConfig
from tests.support.builders import random_backbone
from tests.support.drawn_images import drawn
from tests.support.tiny_models import ROWS, ColourMethod, LocalMethod


def tiled(method, image, tiles: TileConfig, **settings) -> tuple[np.ndarray, np.ndarray]:
    merger = TileMerger(method, torch.zeros(ROWS, 1, 16), tuple(range(ROWS)), tiles, **settings)
    asked = []

    def read(top: int, bottom: int) -> np.ndarray:
        asked.append((top, bottom))
        return image[top:bottom]

    size = (image.shape[0], image.shape[1])
    bands = list(merger.bands(read, size))
    assert [bottom for top, bottom in asked if bottom > top][-1] == size[0]
    assert all(before[1] == after[0] for before, after in pairwise(asked)), "every row once"
    assert np.array_equal(np.concatenate([band.image for band in bands]), image)
    return np.concatenate([band.labels for band in bands]), np.concatenate([band.scores for band in bands])


@pytest.mark.parametrize(
    ("side", "size", "overlap", "places"),
    [
        (100, 40, 0.25, (0, 30, 60)),
        (101, 40, 0.25, (0, 20, 41, 61)),
        (40, 40, 0.5, (0,)),
        (30, 40, 0.5, (0,)),
        (41, 40, 0, (0, 1)),
        (80, 40, 0, (0, 40)),
    ],
)
def test_places_by_hand(side, size, overlap, places):
    assert TileConfig(size=size, overlap=overlap).axis(side, 1000) == TileAxis(side, min(size, side), places)


def test_the_size_follows_the_resolution():
    assert TileConfig().axis(5000, 384).size == 640


def test_weights_by_hand():
    """Overlap of 8: two pixels for the first alone, four in which it falls by quarters from 7/8, two for the second."""
    weights = TileAxis(16, 12, (0, 4)).weights
    fall = [1, 1, 7 / 8, 5 / 8, 3 / 8, 1 / 8, 0, 0]
    np.testing.assert_allclose(weights[0], [1] * 4 + fall, atol=1e-6)
    np.testing.assert_allclose(weights[1], fall[::-1] + [1] * 4, atol=1e-6)


@pytest.mark.parametrize("side", range(32, 110, 7))
@pytest.mark.parametrize("overlap", [0, 0.2, 0.5, 0.7])
def test_weights_add_up_and_blocks_cover_everything(side, overlap):
    axis = TileConfig(size=32, overlap=overlap).axis(side, 1000)
    total = np.zeros(side)
    for place, weight in zip(axis.places, axis.weights, strict=True):
        total[place : place + axis.size] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    blocks = [axis.block(index) for index in range(len(axis.places))]
    assert [pixel for block in blocks for pixel in block] == list(range(side))
    reached = np.zeros(side)
    for index, block in enumerate(blocks):
        for reach in axis.reaches(index):
            reached[block.start : block.start + len(reach.weights)] += reach.weights
    np.testing.assert_allclose(reached, 1, atol=1e-6)


@pytest.mark.parametrize("size", [(160, 224), (160, 64), (64, 64), (40, 56), (288, 96)])
@pytest.mark.parametrize("batch", [1, 3])
def test_seams_cannot_be_seen_where_context_suffices(size, batch):
    image, method = drawn(*size), LocalMethod()
    whole = predict(method, image, torch.zeros(ROWS, 1, 16), InferenceConfig())
    method.asked.clear()
    labels, scores = tiled(method, image, TileConfig(size=64, overlap=0.5), batch=batch)
    assert max(shape[2] for shape in method.asked) <= 64
    np.testing.assert_allclose(scores, whole.scores.numpy(), atol=1e-5)
    assert (labels == whole.labels.numpy()).mean() > 0.9999


def test_too_little_overlap_shows():
    """The same without overlap: at the seams a cell sees padding instead of its neighbour."""
    image, method = drawn(160, 224), LocalMethod()
    whole = predict(method, image, torch.zeros(ROWS, 1, 16), InferenceConfig())
    _, scores = tiled(method, image, TileConfig(size=32, overlap=0))
    assert np.abs(scores - whole.scores.numpy()).max() > 0.01


@pytest.mark.parametrize("memory_bytes", [1, 2**24])
def test_memory_for_merging_changes_nothing(memory_bytes):
    image, method = drawn(100, 90), LocalMethod()
    expected = tiled(method, image, TileConfig(size=48))
    found = tiled(method, image, TileConfig(size=48), memory_bytes=memory_bytes)
    assert np.array_equal(found[0], expected[0])


def test_rows_of_the_text_become_classes():
    image, method = drawn(70, 80), LocalMethod()
    plain, _ = tiled(method, image, TileConfig(size=48))
    merger = TileMerger(method, torch.zeros(ROWS, 1, 16), (0, 0, 1, 1, 2), TileConfig(size=48))
    labels = np.concatenate([band.labels for band in merger.bands(lambda top, bottom: image[top:bottom], (70, 80))])
    assert np.array_equal(labels, plain // 2)


def test_methods_that_keep_few_classes():
    """Every tile keeps its own classes; the answer is in the union of them."""
    image, method = drawn(80, 120), ColourMethod(keep=2)
    words = F.normalize(torch.randn(9, 1, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    merger = TileMerger(method, words, tuple(range(9)), TileConfig(size=40, overlap=0.5))
    bands = list(merger.bands(lambda top, bottom: image[top:bottom], (80, 120)))
    labels, scores = np.concatenate([one.labels for one in bands]), np.concatenate([one.scores for one in bands])
    assert labels.shape == (80, 120)
    assert len(np.unique(labels)) > 1
    assert scores.min() > 0


@torch.no_grad()
def test_probabilities_over_all_names_are_taken_after_the_tiles_are_merged() -> None:
    image, tiles = drawn(150, 130), TileConfig(size=64, overlap=0.5)
    method = ZeroShotConfig().compose(random_backbone())
    text = torch.randn(6, 1, 24, generator=torch.Generator().manual_seed(1))
    merger = TileMerger(method, text, tuple(range(6)), tiles)
    few = TileMerger(method, text, tuple(range(6)), tiles, memory_bytes=1)
    (bands, again) = (list(one.bands(lambda top, bottom: image[top:bottom], (150, 130))) for one in (merger, few))
    scores = np.concatenate([band.scores for band in bands])
    assert scores.min() > 1 / 6
    assert scores.max() <= 1 + 1e-6
    assert all(np.array_equal(one.labels, other.labels) for one, other in zip(bands, again, strict=True))


def test_refinement_by_the_whole_image_is_refused() -> None:
    method = ZeroShotConfig(refine=PamrConfig()).compose(random_backbone())
    with pytest.raises(ConfigError, match=r"Leave out --tile, or set inference\.options\.refine=false"):
        TileMerger(method, torch.zeros(2, 1, 24), (0, 1), TileConfig(size=64))
