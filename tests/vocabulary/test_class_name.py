"""One class as it is written in any language."""

import unicodedata

import pytest

from ahs_seg.vocabulary.class_name import ClassName, VocabularyError, tidy, twin_key, with_full_labels, written_label

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


UNSEEN = "\u200e\u200f\u061c\u2061\u2063\u034f\u180e\u3164\ufff9\U000e0041"


def test_characters_that_show_nothing_are_left_out() -> None:
    assert [tidy(f"c{letter}at{letter}") for letter in UNSEEN] == ["cat"] * len(UNSEEN)
    for letter in (*UNSEEN, "\u200d", "\ufe0f"):
        assert twin_key(f"c{letter}at") == "cat"
        with pytest.raises(VocabularyError, match="has a blank name"):
            ClassName.parse(letter)


def test_emoji_keep_what_shapes_them() -> None:
    wales, scotland = (
        f"\U0001f3f4{''.join(chr(0xE0000 + ord(one)) for one in tags)}\U000e007f" for tags in ("gbwls", "gbsct")
    )
    for emoji in (wales, "\u2764\ufe0f", "\U0001f469\u200d\U0001f33e"):
        assert ClassName.parse(emoji).label == emoji
    assert twin_key(wales) != twin_key(scotland)
    assert twin_key("\u2764\ufe0f") == twin_key("\u2764")


def test_the_label_as_it_was_written() -> None:
    assert written_label(f"{NFD} , x; y") == NFD
    assert written_label("a  b ＝ c") == "a b"


def test_merged_names_are_there_once() -> None:
    one = ClassName.parse("sofa, couch")
    assert one.merged(ClassName.parse("sofa = Couch; settee")).names == ("sofa, couch", "settee")


def test_equal_first_names_get_full_labels() -> None:
    entries = [ClassName.parse(text) for text in ("bag", "bag, sack", "cat")]
    assert [entry.label for entry in with_full_labels(entries)] == ["bag", "bag, sack", "cat"]
