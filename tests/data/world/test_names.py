from collections import Counter

import pytest

from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.data.world.names import (
    NOVEL_ATTRIBUTES,
    STUFF,
    VOCABULARY_SIZES,
    few_names,
    never_trained,
    seen_names,
    splits,
    things,
    vocabulary_names,
)


def test_sizes_are_those_of_the_specification():
    assert len(things()) == 1008
    assert len(STUFF) == 12
    assert Counter(splits()[name] for name in things()) == {"seen": 160, "combination": 326, "novel": 522}
    assert Counter(splits()[name] for name in STUFF) == {"seen": 9, "novel": 3}
    assert len(seen_names()) == 169
    assert len(never_trained()) == 142


def test_few_names_are_40_of_the_seen_ones():
    assert len(set(few_names())) == 40
    assert set(few_names()) < set(seen_names())
    assert sum(name in STUFF for name in few_names()) == 9
    assert WorldDataset(7, 2, "few").vocabulary.labels == list(few_names())


def test_seen_things_have_no_novel_attribute_and_combinations_only_known_ones():
    for name, thing in things().items():
        assert (splits()[name] == "novel") == bool(NOVEL_ATTRIBUTES & set(thing))


def test_every_attribute_is_met_in_pretraining_and_every_known_one_in_segmentation_training():
    trained = {word for name, thing in things().items() if name not in never_trained() for word in thing}
    seen = {word for name in seen_names() if name in things() for word in things()[name]}
    every = {word for thing in things().values() for word in thing}
    assert trained == every
    assert seen == every - NOVEL_ATTRIBUTES
    assert never_trained().isdisjoint(seen_names())


def test_the_order_never_changes():
    assert vocabulary_names(20)[6:9] == FIRST_THINGS


FIRST_THINGS = ("black framed circle", "red framed cross", "cyan striped cross")


@pytest.mark.parametrize("size", VOCABULARY_SIZES)
def test_vocabularies_are_nested_and_hold_all_splits(size):
    names = vocabulary_names(size)
    assert len(set(names)) == len(names) == size
    assert {splits()[name] for name in names if name in things()} == {"seen", "combination", "novel"}
    for smaller in VOCABULARY_SIZES[: VOCABULARY_SIZES.index(size)]:
        assert set(vocabulary_names(smaller)) < set(names)


def test_an_unknown_size_names_the_known_ones():
    with pytest.raises(ValueError, match="no vocabulary of 151 names; choose one of 20, 59, 150, 459, 847"):
        vocabulary_names(151)
