"""Which classes training has seen is told from words; the published maps are those of the original files."""

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.vocabulary.seen_classes import (
    Overlap,
    SoftOverlap,
    check_given,
    class_synonyms,
    given_flags,
    normalised,
    published_overlap,
    row_overlap,
)
from ahs_seg.vocabulary.vocabulary import Vocabulary

TRAINING = Overlap(words=(("person", "woman", "women"), ("wall-brick",), ("skis",), ("Traffic  Light",), ("grass",)))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("person", True),
        ("persons", True),
        ("Woman", True),
        ("ski", True),
        ("wall brick", True),
        ("wall_brick", True),
        ("traffic light", True),
        ("grass", True),
        ("gras", True),
        ("brick", False),
        ("light", False),
        ("dog", False),
    ],
)
def test_a_class_overlaps_if_it_shares_a_word(name: str, seen: bool) -> None:
    assert TRAINING.of(Vocabulary.parse([name])) == (seen,)


def test_synonyms_and_names_of_a_class_count() -> None:
    vocabulary = Vocabulary.parse(["dog, puppy", "lawn, grass", "being = dog; people, women", "sky"])
    assert TRAINING.of(vocabulary) == (False, True, True, False)
    assert class_synonyms(vocabulary) == (("dog", "puppy"), ("lawn", "grass"), ("dog", "people", "women"), ("sky",))
    assert Overlap().of(vocabulary) is None
    assert normalised("  Wall-Brick_x ") == "wall brick x"


def test_rows_follow_their_classes() -> None:
    assert row_overlap((True, False), (0, 0, 1)) == [True, True, False]
    assert row_overlap(None, (0, 1)) is None


@pytest.mark.parametrize(
    ("name", "classes", "seen"),
    [
        ("coco-stuff-171", 171, 171),
        ("pascal-voc-20", 20, 20),
        ("pascal-context-59", 59, 51),
        ("pascal-context-459", 459, 94),
        ("ade20k-150", 150, 67),
        ("ade20k-847", 847, 115),
    ],
)
def test_published_maps(name: str, classes: int, seen: int) -> None:
    found = published_overlap().of(Vocabulary.known(name))
    assert found is not None
    assert (len(found), sum(found)) == (classes, seen)


def test_other_vocabularies_are_compared_with_the_published_words() -> None:
    overlap = published_overlap()
    assert sum(map(len, overlap.words)) >= 328
    assert overlap.of(Vocabulary.parse("person, bikes, wall-brick, unicorn")) == (True, True, True, False)


def test_a_map_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs 20 digits 0 or 1; it has 3"):
        Overlap(maps={"pascal-voc-20": "101"}).of(Vocabulary.known("pascal-voc-20"))


def test_a_class_counts_as_seen_by_its_cosine_with_the_nearest_training_class() -> None:
    trained = torch.eye(3)[:2]
    cosines = torch.tensor([0.1, 0.5, 0.6, 0.75, 0.95])
    text = torch.stack([cosines, torch.zeros(5), (1 - cosines.square()).sqrt()], 1)
    shares = SoftOverlap(low=0.5, high=0.9).shares(text, trained)
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.0, 0.25, 0.625, 1.0]))
    assert SoftOverlap(low=-1, high=1).shares(trained, trained).tolist() == [1, 1]
    with pytest.raises(ConfigError, match=r"low is 0\.9 and must be below high, which is 0\.5"):
        SoftOverlap(low=0.9, high=0.5)


def test_given_flags_go_by_label() -> None:
    given = check_given({"Traffic-Light": True, "dog": False})
    vocabulary = Vocabulary.parse(["dogs", "traffic light", "pet = dog; cat", "dog"])
    assert given_flags(given, vocabulary) == [None, True, None, False]
    with pytest.raises(ValueError, match="'dog' is 'no'; give True for a class seen in training"):
        check_given({"dog": "no"})


def test_names_of_the_training_are_told_once() -> None:
    assert TRAINING.vocabulary is not None
    assert TRAINING.vocabulary.labels == [
        "person",
        "woman",
        "women",
        "wall-brick",
        "skis",
        "Traffic  Light",
        "grass",
    ]
    doubled = Overlap(words=(("sofa", "couch"), ("Sofa",))).vocabulary
    assert doubled is not None
    assert len(doubled) == 2
    assert Overlap().vocabulary is None
