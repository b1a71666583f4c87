"""The class names of a step, and what the step needs of them: labels that index them, and their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class StepNames:
    """The classes of one step: their rows in the vocabulary (ascending), prompts and tokens of the prompts' texts."""

    rows: Int[Tensor, " t"]
    table: PromptTable
    tokens: Tokens


class NameSource:
    """Turns classes of a vocabulary into `StepNames`; the latest answers are kept, as they are often asked again."""

    def __init__(self, vocabulary: Vocabulary, prompts: PromptConfig, tokenizer: TextTokenizer) -> None:
        self.vocabulary = vocabulary
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._names = lru_cache(maxsize=4)(self._build)

    def __call__(self, rows: Int[Tensor, " t"]) -> StepNames:
        """The names of the classes in `rows`."""
        return self._names(tuple(rows.tolist()))

    def _build(self, rows: tuple[int, ...]) -> StepNames:
        part = Vocabulary(tuple(self.vocabulary.entries[row] for row in rows))
        table = self._prompts.table(part)
        return StepNames(torch.tensor(rows), table, self._tokenizer(table.texts))


def present_classes(labels: Int[Tensor, "*s"], classes: int) -> Bool[Tensor, " t"]:
    """Which of so many classes own at least one pixel."""
    return torch.bincount(labels[labels != IGNORE].flatten(), minlength=classes) > 0


def choose_rows(present: Bool[Tensor, " t"], wanted: int | None, generator: np.random.Generator) -> Int[Tensor, " n"]:
    """Classes of a step, ascending: those present and, up to `wanted`, others at random.

    When more than `wanted` are present, so many of them are drawn: memory stays bounded, and pixels of the rest belong
    to none of the step's classes.
    """
    order = torch.from_numpy(generator.permutation(len(present)))
    chosen = torch.cat([order[present[order]], order[~present[order]]])[:wanted]
    return chosen.sort().values


def relabel(labels: Int[Tensor, "*s"], rows: Int[Tensor, " n"], classes: int) -> Int[Tensor, "*s"]:
    """Labels that index `rows`; pixels of other classes become `IGNORE`."""
    table = torch.full((classes + 1,), IGNORE, dtype=labels.dtype)
    table[rows] = torch.arange(len(rows), dtype=labels.dtype)
    return table[labels]  # IGNORE, being -1, reads the last entry
