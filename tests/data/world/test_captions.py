"""Phrases and captions say nothing wrong."""

import numpy as np
import pytest

from ahs_seg.data.world.captions import Phrase, caption, hard_negative, phrase, sample_captions
from ahs_seg.data.world.mosaics import trained_things
from ahs_seg.data.world.names import SYNONYMS, Thing

STAR = Thing("red", "striped", "star")


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
    names: list[Thing | str] = [*trained_things()[:40], "brick wall", "sky"]
    for name in names:
        right = phrase(name, rng)
        wrong = hard_negative(right, rng)
        assert not right.may_be(wrong)
        assert sum(a != b for a, b in zip(right[1:], wrong[1:], strict=True)) == 1
        assert wrong.text != right.text


def test_captions_are_a_function_of_the_seed():
    assert sample_captions(5, 1, [STAR]) == sample_captions(5, 1, [STAR])
    assert " on " in caption(STAR, "grass", np.random.default_rng(0))
    assert len(set(SYNONYMS.values())) == len(SYNONYMS)
