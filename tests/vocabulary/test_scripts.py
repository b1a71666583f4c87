"""Letters of another script than those of the languages are found, and nothing else is."""

import pytest

from ahs_seg.vocabulary.scripts import unknown_words


@pytest.mark.parametrize("word", ["cat", "café", "Ærø", "T-shirt 2", "µ-meter", "ﬁre", "Ａ", "Łódź", "don't", "½ cup"])
def test_latin_letters_and_signs_are_english_enough(word: str) -> None:
    assert unknown_words([word], ["en"]) == []


@pytest.mark.parametrize("word", ["кошка", "猫", "ねこ", "고양이", "γάτα", "קָט", "قطة", "บ้าน", "the 猫"])
def test_letters_of_other_scripts_are_not(word: str) -> None:
    assert unknown_words(["cat", word, word], ["en"]) == [word]


def test_a_tower_of_two_languages_knows_both_scripts() -> None:
    assert unknown_words(["cat", "猫", "кошка", "ねこ"], ["zh", "en"]) == ["кошка", "ねこ"]
