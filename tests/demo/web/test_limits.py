"""What a visitor may ask for, to the last one allowed, and what refusals say."""

import tracemalloc
from pathlib import Path

import pytest

from ahs_seg.demo.web.limits import LimitError, Limits
from ahs_seg.vocabulary.vocabulary import VocabularyError

LIMITS = Limits(upload_mb=1, megapixels=2, names=5, name_length=10)


def test_files_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(1_000_000))
    LIMITS.check_file(path)
    path.write_bytes(bytes(1_500_000))
    with pytest.raises(LimitError, match=r"1\.5 MB; this page takes up to 1 MB"):
        LIMITS.check_file(path)


def test_pixels_up_to_the_limit() -> None:
    LIMITS.check_pixels(1000, 2000)
    with pytest.raises(LimitError, match=r"2001 x 1000 = 2\.0 million pixels; this page takes up to 2 million"):
        LIMITS.check_pixels(1000, 2001)


@pytest.mark.parametrize(
    "text", ["cat, sofa, lamp", " cat\nsofa\nlamp\n", "cat, sofa, lamp,", "cat; sofa; lamp", "cat、sofa，lamp"]
)
def test_words_are_separated_by_commas_or_lines(text: str) -> None:
    assert LIMITS.words(text)[0].labels == ["cat", "sofa", "lamp"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a, b, c, d, e, f", "6 names; this page takes up to 5"),
        ("x=a,b;c\ny=d,e;f", "6 names"),  # every name of a class counts
        ("x" * 11, r"Name 1 .* has 11 characters; this page takes up to 10\. Separate names by commas"),
        ("ade20k-150", "150 names; this page takes up to 5"),
    ],
)
def test_too_many_words_and_too_long_ones(text: str, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        LIMITS.words(text)


def test_a_word_that_is_too_long_costs_that_word() -> None:
    vocabulary, notes = LIMITS.words("cat, " + "x" * 11 + ", sofa")
    assert vocabulary.labels == ["cat", "sofa"]
    assert notes == ("Name 2 ('xxxxxxxxxxx' …) has 12 characters; this page takes up to 10.",)


def test_names_of_everything_else() -> None:
    assert LIMITS.background(" wall, floor") == ["wall", "floor"]
    assert LIMITS.background("  ") == []
    with pytest.raises(LimitError, match=r"Background: Name 1 .* has 11 characters"):
        LIMITS.background("x" * 11)
    with pytest.raises(LimitError, match="6 names; this page takes up to 5"):
        LIMITS.background("a, b, c, d, e, f")
    with pytest.raises(VocabularyError, match="blank name"):
        LIMITS.background("wall,, floor")


def test_fifty_megabytes_of_words_are_not_taken_apart() -> None:
    text = "word," * 10_000_000
    tracemalloc.start()
    with pytest.raises(LimitError, match=r"50,000,000 characters; this page takes up to 1500 names of 120 characters"):
        Limits().words(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("text", ["", " , \n", "cat, cat"])
def test_words_that_cannot_be_used(text: str) -> None:
    with pytest.raises(VocabularyError):
        LIMITS.words(text)


def test_a_known_list_may_be_named() -> None:
    assert len(Limits(names=500).words("pascal-voc-20")[0]) == 20
    assert len(Limits(names=500).words("Pascal-VOC-20")[0]) == 20
    assert len(Limits().words("ade20k-847")[0]) == 847, "the longest list of the package, with its synonyms"
