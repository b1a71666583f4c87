"""One class as it is written in any language."""

import unicodedata

import pytest

from ahs_seg.vocabulary.class_name import ClassName, tidy, twin_key, with_full_labels, written_label

NFC, NFD = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")


@pytest.mark.parametrize(
    ("text", "label", "synonyms"),
    [
        ("sofa, couch", "sofa", (("sofa", "couch"),)),
        ("沙发，长椅、椅子", "沙发", (("沙发", "长椅", "椅子"),)),
        ("车＝汽车，轿车；公交车", "车", (("汽车", "轿车"), ("公交车",))),
        ("قطة، هرة", "قطة", (("قطة", "هرة"),)),
        (f"{NFD}, \u200bbar\ufeff", NFC, ((NFC, "bar"),)),
    ],
)
def test_separators_of_any_language(text: str, label: str, synonyms: tuple[tuple[str, ...], ...]) -> None:
    entry = ClassName.parse(text)
    assert (entry.label, entry.synonyms) == (label, synonyms)


def test_names_are_composed_and_joiners_are_spelling() -> None:
    assert tidy(f" {NFD}\u3000\u00adbar ") == f"{NFC} bar"
    persian = "می\u200cروم"
    assert tidy(persian) == persian
    assert twin_key(persian) == twin_key("میروم")
    assert twin_key(NFD.upper()) == NFC


def test_the_label_as_it_was_written() -> None:
    assert written_label(f"{NFD} , x; y") == NFD
    assert written_label("a  b ＝ c") == "a b"


def test_merged_names_are_there_once() -> None:
    one = ClassName.parse("sofa, couch")
    assert one.merged(ClassName.parse("sofa = Couch; settee")).names == ("sofa, couch", "settee")


def test_equal_first_names_get_full_labels() -> None:
    entries = [ClassName.parse(text) for text in ("bag", "bag, sack", "cat")]
    assert [entry.label for entry in with_full_labels(entries)] == ["bag", "bag, sack", "cat"]
