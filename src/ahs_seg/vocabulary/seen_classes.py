"""Which classes of a vocabulary a training has seen, told from the words alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from pydantic import Field

from ahs_seg.config import Config
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary, VocabularyError, known_vocabularies


class Overlap(Config):
    """The words of a training, a tuple for each of its classes, and maps that are given for known vocabularies.

    A class overlaps with the training if it shares a word with it (`overlaps`). For a vocabulary in `maps`, by its name
    in the literature, the map counts instead: one "1" or "0" per class.
    """

    words: tuple[tuple[str, ...], ...] = ()
    maps: dict[str, str] = Field(default_factory=dict)

    def of(self, vocabulary: Vocabulary) -> tuple[bool, ...] | None:
        """For every class of a vocabulary, whether the training has seen it; None if nothing is known of the training.

        Raises:
            VocabularyError: a map has another length than its vocabulary.
        """
        for name, bits in self.maps.items():
            if name in known_vocabularies() and Vocabulary.known(name) == vocabulary:
                if len(bits) != len(vocabulary) or set(bits) - {"0", "1"}:
                    raise VocabularyError(
                        f"the map of {name} needs {len(vocabulary)} digits 0 or 1; it has {len(bits)}"
                    )
                return tuple(bit == "1" for bit in bits)
        if not self.words:
            return None
        known = {normalised(word) for words in self.words for word in words}
        return tuple(overlaps(entry, known) for entry in vocabulary.entries)


def overlaps(entry: ClassName, known: set[str]) -> bool:
    """Whether a class has a synonym among normalised words; either may be the plural in "s" of the other."""
    words = [normalised(word) for name in entry.synonyms for word in name]
    return any(word in known or f"{word}s" in known or word.removesuffix("s") in known for word in words)


def normalised(word: str) -> str:
    """A word in lower case with single blanks, also for "-" and "_"."""
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def words_of(vocabulary: Vocabulary) -> tuple[tuple[str, ...], ...]:
    """All words of every class."""
    return tuple(tuple(word for name in entry.synonyms for word in name) for entry in vocabulary.entries)


def published_overlap() -> Overlap:
    """The words of EBSeg's training on COCO-Stuff-171, and its maps for the benchmarks.

    Source: the overlap files of the official code. Its lists of test synonyms are not those that are encoded, which is
    why the maps are kept: words alone would tell a few classes apart differently.
    """
    text = resources.files("ahs_seg").joinpath("vocabulary", "ebseg_overlap.json").read_text(encoding="utf-8")
    return Overlap.parse(json.loads(text), source="ebseg_overlap.json")


def row_overlap(seen: Sequence[bool] | None, row_class: Sequence[int]) -> list[bool] | None:
    """The same for rows of a text, whose classes are given."""
    return None if seen is None else [seen[index] for index in row_class]
