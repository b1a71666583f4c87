from collections import Counter

import numpy as np
import pytest

from ahs_seg.data.world.canvas import tones
from ahs_seg.data.world.names import COLOURS, STUFF, vocabulary_names
from ahs_seg.data.world.scenes import SceneSource, has_contrast


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="has no class 'green goblin'"):
        SceneSource(0, ["grass", "green goblin"])


def test_each_block_of_four_scenes_deals_two_to_five_objects():
    source = SceneSource(1, vocabulary_names(59))
    for block in range(5):
        assert sorted(len(source._deal(4 * block + k)) for k in range(4)) == [2, 3, 4, 5]


def test_each_thing_is_dealt_equally_often():
    source = SceneSource(1, vocabulary_names(20))
    dealt = Counter(thing.name for index in range(40) for thing in source._deal(index))
    assert set(dealt.values()) == {10}  # 40 scenes deal 140 objects, of 14 kinds


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


def test_objects_stand_out_from_their_ground():
    assert not has_contrast("white", "snow")
    assert not has_contrast("gray", "gravel")
    assert has_contrast("red", "grass")
    assert all(any(has_contrast(colour, kind) for kind in STUFF) for colour in COLOURS)


def _eroded(mask):
    inner = mask[1:-1, 1:-1].copy()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            inner &= mask[dy : dy + inner.shape[0], dx : dx + inner.shape[1]]
    return np.pad(inner, 1)
