"""Prompts and text embeddings of vocabularies, in the form that a method uses, computed once for each vocabulary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.inference.text_cache import TextCache, tokenize
from ahs_seg.io.weight_files import listed
from ahs_seg.methods.base import Method
from ahs_seg.modules.class_pooling import class_embeddings, mean_of_rows
from ahs_seg.types import ClassText, Words
from ahs_seg.vocabulary.lint import LintModel
from ahs_seg.vocabulary.notices import collect_notice, collected_notices
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.scripts import LANGUAGE_NAMES, unknown_words
from ahs_seg.vocabulary.seen_classes import check_given, given_flags, row_overlap
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary

logger = logging.getLogger(__name__)

_LISTED: Final = 5
KEPT: Final = 8
"""Number of vocabularies whose prompts and prepared text embeddings stay in memory."""


def not_known(vocabulary: Vocabulary) -> None:
    """None: it is not known which classes occurred in training."""
    del vocabulary


class VocabularyEncoder:
    """Prompt tables, text embeddings and prepared text inputs of vocabularies; may be shared between threads.

    `seen` returns for every class of a vocabulary whether it occurred in training (None: not known); `given` overrides
    it for the labels that it has (`check_given`). `trained` are the names of the training classes (None: not known).
    """

    def __init__(
        self,
        prompts: PromptConfig,
        cache: TextCache,
        seen: Callable[[Vocabulary], Sequence[bool] | None] = not_known,
        trained: Vocabulary | None = None,
        given: Mapping[str, bool] | None = None,
    ) -> None:
        self.prompts = prompts
        self.cache = cache
        self._seen = seen
        self._trained = trained
        self._given = given or {}
        self._made_table = lru_cache(maxsize=KEPT)(self._make_table)
        self._unreadable = lru_cache(maxsize=KEPT)(self._warn_of_scripts)
        self._prepared: dict[Vocabulary, tuple[Tensor, Words]] = {}

    def emptied(self) -> VocabularyEncoder:
        """An encoder with the same prompts and cache that has prepared nothing yet, as for another device."""
        return VocabularyEncoder(self.prompts, self.cache, self._seen, self._trained, self._given)

    def told(self, given: Mapping[str, bool]) -> VocabularyEncoder:
        """An encoder with another map of seen classes that has prepared nothing yet."""
        return VocabularyEncoder(self.prompts, self.cache, self._seen, self._trained, check_given(given))

    def __reduce__(self) -> tuple[type[VocabularyEncoder], tuple[object, ...]]:
        """For pickling and copies: what it was made of; text inputs are prepared again when they are needed."""
        return VocabularyEncoder, (self.prompts, self.cache, self._seen, self._trained, self._given)

    def table(self, vocabulary: Vocabulary) -> PromptTable:
        """The prompts of a vocabulary; names that belong to several classes are warned of once."""
        table, warning = self._made_table(vocabulary)
        if warning:
            collect_notice(warning)
        return table

    def embeddings(self, method: Method, vocabulary: Vocabulary) -> Float[Tensor, "t p d"]:
        """The text embedding of every prompt of every text row, encoded now unless it is in the cache."""
        if warning := self._unreadable(method.backbone.languages, vocabulary):
            collect_notice(warning)
        return self.cache.encode(method.backbone, self.table(vocabulary))

    def words(self, method: Method, vocabulary: Vocabulary) -> Words:
        """The text input of the method (`Method.prepare`), computed again only if the text embeddings have changed."""
        text = self.embeddings(method, vocabulary)
        known = self._prepared.get(vocabulary)
        if known is None or not torch.equal(known[0], text):
            with torch.inference_mode():
                prepared = method.prepare(text, self._seen_rows(vocabulary, text))
                shares = self._seen_shares(method, vocabulary, text)
                known = (text, prepared if shares is None else replace(prepared, seen_share=shares))
            self._prepared = {**dict(list(self._prepared.items())[1 - KEPT :]), vocabulary: known}
        return known[1]

    def seen(self, vocabulary: Vocabulary) -> Sequence[bool] | None:
        """For every class whether it counts as seen in training: as given, otherwise by its names (None: not known)."""
        seen, given = self._seen(vocabulary), given_flags(self._given, vocabulary)
        if all(flag is None for flag in given):
            return seen
        known = seen or [False] * len(vocabulary)
        return [own if flag is None else flag for flag, own in zip(given, known, strict=True)]

    def seen_identity(self, method: Method, vocabulary: Vocabulary) -> dict[str, list[str] | None]:
        """What labels depend on besides weights and settings: the classes that count as seen (None: not known).

        Empty for methods that treat all classes alike. With a soft overlap it has the names of the training, too.
        """
        if not method.uses_seen:
            return {}
        flags = self.seen(vocabulary)
        seen = None if flags is None else [label for label, one in zip(vocabulary.labels, flags, strict=True) if one]
        found: dict[str, list[str] | None] = {"seen classes": seen}
        if method.soft_overlap is not None and self._trained is not None:
            found["names of the training"] = list(self._trained.labels)
        return found

    def _seen_rows(self, vocabulary: Vocabulary, text: Tensor) -> Bool[Tensor, " t"] | None:
        rows = row_overlap(self.seen(vocabulary), self.table(vocabulary).row_class)
        return None if rows is None else torch.tensor(rows, device=text.device)

    def _seen_shares(self, method: Method, vocabulary: Vocabulary, text: Tensor) -> Float[Tensor, " t"] | None:
        """The share to which every text row counts as seen, for methods that ask for it (None: by name alone)."""
        if method.soft_overlap is None or self._trained is None:
            return None
        rows = class_embeddings(ClassText(text, text))
        with collected_notices():  # nobody has asked for the training classes
            trained = self.features(method, self._trained)
        shares = method.soft_overlap.shares(rows, trained.to(rows))
        given = given_flags(self._given, vocabulary)
        flags = [given[index] for index in self.table(vocabulary).row_class]
        values = [share if flag is None else float(flag) for flag, share in zip(flags, shares.tolist(), strict=True)]
        return torch.tensor(values, device=text.device)

    def features(self, method: Method, vocabulary: Vocabulary) -> Float[Tensor, "t d"]:
        """One unit vector per class: the normalised mean of the text embeddings of its prompts and names."""
        rows = self.embeddings(method, vocabulary).mean(1)
        owner = torch.tensor(self.table(vocabulary).row_class, device=rows.device)
        return mean_of_rows(rows, owner, len(vocabulary))

    def lint_model(self, method: Method, trained_on: tuple[str, ...]) -> LintModel:
        """The functions of a method that `lint_vocabulary` needs."""

        def too_long(entry: ClassName) -> str | None:
            table = self.prompts.table(Vocabulary((entry,)))
            try:
                tokenize(method.backbone.tokenizer, table, table.texts)
            except TextTooLongError as error:
                return str(error)
            return None

        return LintModel(too_long, lambda vocabulary: self.features(method, vocabulary), trained_on)

    def _warn_of_scripts(self, languages: tuple[str, ...] | None, vocabulary: Vocabulary) -> str:
        """The warning that was logged; empty if the text tower can read all words."""
        if languages is None:
            return ""
        words = (word for row in vocabulary.rows(self.prompts.synonyms) for word in row.words)
        unknown = unknown_words(words, languages)
        if not unknown:
            return ""
        warning = (
            f"the text tower of this model was trained on {' and '.join(LANGUAGE_NAMES[one] for one in languages)} and "
            f"cannot read {listed([repr(word) for word in unknown], _LISTED)}; their labels mean nothing. Give them in "
            "that language, or use a backbone that knows yours (docs/backbones.md)"
        )
        logger.warning("%s", warning)
        return warning

    def _make_table(self, vocabulary: Vocabulary) -> tuple[PromptTable, str]:
        """The prompts, and the warning that was logged; empty if every name belongs to one class."""
        rule, warning = self.prompts.synonyms, ""
        shared = [f"{words!r} ({', '.join(map(str, found))})" for words, found in vocabulary.collisions(rule).items()]
        if shared:
            warning = (
                f"with synonyms={rule!r} these names belong to several classes (indices in brackets); the first class "
                f"gets all pixels: {'; '.join(shared)}"
            )
            logger.warning("%s", warning)
        return self.prompts.table(vocabulary), warning
