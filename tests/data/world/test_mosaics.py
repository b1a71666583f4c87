import numpy as np

from ahs_seg.data.world.mosaics import NOWHERE, Mix, caption_batch, trained_things
from ahs_seg.data.world.names import never_trained

MIX = Mix(size=96, count=6, scenes=0.4, whole=0.2)


def test_a_batch_depends_on_seed_and_step_alone():
    one, same, other = (caption_batch(1, step, MIX) for step in (4, 4, 5))
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.part, same.part)
    assert one.phrases == same.phrases
    assert (one.images != other.images).any()


def test_parts_and_phrases_fit_together():
    batch = caption_batch(1, 0, MIX)
    assert batch.images.shape == (6, 3, 96, 96)
    assert batch.part.shape == (6, 12, 12)
    assert set(np.unique(batch.part)) - {NOWHERE} == set(range(len(batch.said)))
    assert batch.said.max() < len(batch.phrases)
    assert len(set(batch.phrases)) == len(batch.phrases)
    wanted = [[one.may_be(other) for other in batch.phrases] for one in batch.phrases]
    np.testing.assert_array_equal(batch.compatible, wanted)


def test_a_window_of_a_scene_mentions_only_what_is_left_in_it():
    mix = Mix(size=48, count=12, scenes=1.0, scene_size=96, negatives=0)
    batch = caption_batch(1, 0, mix)
    whole = caption_batch(1, 0, Mix(size=96, count=12, scenes=1.0, negatives=0))
    assert batch.images.shape == (12, 3, 48, 48)
    assert (batch.said >= 0).sum() < (whole.said >= 0).sum()


def test_never_trained_combinations_are_neither_shown_nor_named():
    assert not {thing.name for thing in trained_things()} & never_trained()
    mix = Mix(size=64, count=60, whole=1.0, negatives=4)
    for step in range(4):
        for item in caption_batch(2, step, mix).phrases:
            assert f"{item.colour} {item.texture} {item.shape}" not in never_trained()
