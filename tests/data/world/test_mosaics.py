import numpy as np
import pytest

from ahs_seg.data.world.captions import Phrase, caption, phrase, sample_captions, twisted
from ahs_seg.data.world.mosaics import NOWHERE, Mix, caption_batch, trained_things
from ahs_seg.data.world.names import SYNONYMS, Thing, never_trained
from ahs_seg.data.world.photos import PhotoSource

STAR = Thing("red", "striped", "star")
MIX = Mix(size=96, count=6, scenes=0.4, whole=0.2)


def test_a_phrase_may_drop_and_replace_words_but_says_nothing_wrong():
    rng = np.random.default_rng(0)
    said = {phrase(STAR, rng) for _ in range(300)}
    assert Phrase("red striped star", None, "red", "striped", "star") in said
    assert Phrase("striped star", None, None, "striped", "star") in said
    assert Phrase("scarlet striped star", None, "red", "striped", "star") in said
    assert all(one.may_be(other) for one in said for other in said)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("red star", None, "red", None, "star"), ("striped star", None, None, "striped", "star"), True),
        (("red star", None, "red", None, "star"), ("blue star", None, "blue", None, "star"), False),
        (("red star", None, "red", None, "star"), ("grass", "grass", None, None, None), False),
        (("lawn", "grass", None, None, None), ("grass", "grass", None, None, None), True),
    ],
)
def test_phrases_that_may_mean_the_same(one, other, same):
    assert Phrase(*one).may_be(Phrase(*other)) is same


def test_a_twisted_phrase_is_wrong_in_one_word():
    rng = np.random.default_rng(0)
    for name in [*trained_things()[:40], "brick wall", "sky"]:
        right = phrase(name, rng)
        wrong = twisted(right, rng)
        assert not right.may_be(wrong)
        assert sum(a != b for a, b in zip(right[1:], wrong[1:], strict=True)) == 1
        assert wrong.text != right.text


def test_captions_are_a_function_of_the_seed():
    assert sample_captions(5, 1, [STAR]) == sample_captions(5, 1, [STAR])
    assert " on " in caption(STAR, "grass", np.random.default_rng(0))
    assert len(set(SYNONYMS.values())) == len(SYNONYMS)


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


def test_photographs_show_each_name_equally_often():
    source = PhotoSource(1, ["red plain star", "blue plain ring", "white dotted heart"])
    shown = [source[index].thing.name for index in range(30)]
    assert {name: shown.count(name) for name in set(shown)} == dict.fromkeys(set(shown), 10)
    assert source[3].image.shape == (64, 64, 3)
