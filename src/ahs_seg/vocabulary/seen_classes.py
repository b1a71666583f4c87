"""Detection of the classes of a vocabulary that were seen in training, by comparing class names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from ahs_seg.config import Config
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary, VocabularyError, known_vocabularies


class Overlap(Config):
    """Names of the training classes (a tuple of synonyms each), and fixed seen/unseen maps for known vocabularies.

    A class is seen if it shares a name or synonym with a training class (`overlaps`). For a known vocabulary listed in
    `maps`, the map is used instead: one "1" (seen) or "0" (unseen) per class.
    """

    words: tuple[tuple[str, ...], ...] = ()
    maps: dict[str, str] = Field(default_factory=dict)

    def of(self, vocabulary: Vocabulary) -> tuple[bool, ...] | None:
        """Seen flag of every class of a vocabulary; None if the training classes are not known.

        Raises:
            VocabularyError: the length of a map differs from its vocabulary, or it holds other digits than 0 and 1.
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

    @property
    def vocabulary(self) -> Vocabulary | None:
        """All names and synonyms of the training classes, each as a class of its own (None: not known)."""
        distinct = {normalised(word): word for words in self.words for word in words}
        return Vocabulary(tuple(ClassName(word, (word,)) for word in distinct.values())) if distinct else None


class SoftOverlap(Config):
    """How far a class counts as seen, by its text embedding: 0 up to the cosine `low`, 1 from `high`, linear between.

    The cosine is that with the nearest name of a training class.
    """

    low: float = Field(ge=-1, le=1)
    high: float = Field(ge=-1, le=1)

    @model_validator(mode="after")
    def _check(self) -> SoftOverlap:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and must be below high, which is {self.high:g}")
        return self

    def shares(self, text: Float[Tensor, "t d"], trained: Float[Tensor, "k d"]) -> Float[Tensor, " t"]:
        """The share in [0, 1] to which each row counts as seen; both inputs are unit vectors."""
        nearest = (text @ trained.T).amax(1)
        return ((nearest - self.low) / (self.high - self.low)).clamp(0, 1)


def check_given(given: Mapping[str, object]) -> dict[str, bool]:
    """A map from labels to whether the class was seen in training, by normalised label.

    Raises:
        VocabularyError: a value is neither True nor False.
    """
    known: dict[str, bool] = {}
    for label, seen in given.items():
        if not isinstance(seen, bool):
            raise VocabularyError(f"{label!r} is {seen!r}; give True for a class seen in training, False for others")
        known[normalised(label)] = seen
    return known


def given_flags(given: Mapping[str, bool], vocabulary: Vocabulary) -> list[bool | None]:
    """For every class of a vocabulary what the result of `check_given` says (None: nothing)."""
    return [given.get(normalised(label)) for label in vocabulary.labels]


def overlaps(entry: ClassName, known: set[str]) -> bool:
    """Whether any synonym of a class is among the normalised names `known`, up to a plural "s" on either side."""
    words = [normalised(word) for name in entry.synonyms for word in name]
    return any(word in known or f"{word}s" in known or word.removesuffix("s") in known for word in words)


def normalised(word: str) -> str:
    """Name in lower case, with single spaces in place of "-", "_" and repeated blanks."""
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def class_synonyms(vocabulary: Vocabulary) -> tuple[tuple[str, ...], ...]:
    """All names and synonyms of every class."""
    return tuple(tuple(word for name in entry.synonyms for word in name) for entry in vocabulary.entries)


def published_overlap() -> Overlap:
    """Training class names of EBSeg on COCO-Stuff-171, and its published seen/unseen maps for the benchmarks.

    Source: the overlap files of the official code. Its lists of test synonyms differ from the names that are encoded,
    which is why the maps are kept: comparing names alone would classify a few classes differently.
    """
    text = resources.files("ahs_seg").joinpath("vocabulary", "ebseg_overlap.json").read_text(encoding="utf-8")
    return Overlap.parse(json.loads(text), source="ebseg_overlap.json")


def row_overlap(seen: Sequence[bool] | None, row_class: Sequence[int]) -> list[bool] | None:
    """Seen flag of every prompt row, expanded from per-class flags; `row_class` gives the class of each row."""
    return None if seen is None else [seen[index] for index in row_class]
