"""Scripts of class names beside the languages that a text tower was trained on."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_SCRIPTS: Final = {"en": "LATIN", "zh": "CJK"}
"""The script of a language, as the names of its letters in Unicode call it."""
_LETTERS: Final = ("Lu", "Ll", "Lt", "Lo")
_LATIN_END: Final = "\u0250"
"""Below this are the letters of western languages, whatever their names."""
LANGUAGE_NAMES: Final = {"en": "English", "zh": "Chinese"}


def unknown_words(words: Iterable[str], languages: Sequence[str]) -> list[str]:
    """The words with a letter of a script in which none of these languages is written, each once."""
    known = {_SCRIPTS[language] for language in languages}
    return [word for word in dict.fromkeys(words) if any(_is_foreign(letter, known) for letter in word)]


def _is_foreign(letter: str, known: set[str]) -> bool:
    if unicodedata.category(letter) not in _LETTERS or (letter < _LATIN_END and "LATIN" in known):
        return False
    return known.isdisjoint(unicodedata.name(letter, "").replace("-", " ").split())
