"""Class names of a training step, their tokens, labels re-indexed to them, and the number of their masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.inference.text_cache import check_lengths
from ahs_seg.training.run import Run
from ahs_seg.training.sampler import Pictures, names_generator
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class StepNames:
    """Classes of one training step: their indices in the vocabulary (ascending), class prompts and prompt tokens."""

    rows: Int[Tensor, " t"]
    table: PromptTable
    tokens: Tokens

    def text(self, encode: Callable[[Tokens], Float[Tensor, "n d"]]) -> Float[Tensor, "t p d"]:
        """The text tensor of the step; `encode` computes the embeddings of its texts."""
        return self.table.assemble(encode(self.tokens))


class NameSource:
    """Builds `StepNames` from class indices of a vocabulary; the last 4 results are cached.

    Raises:
        TextTooLongError: a prompt of the vocabulary is too long, whether or not a step draws its class.
    """

    def __init__(self, vocabulary: Vocabulary, prompts: PromptConfig, tokenizer: TextTokenizer) -> None:
        check_lengths(tokenizer, prompts.table(vocabulary))
        self.vocabulary = vocabulary
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._names = lru_cache(maxsize=4)(self._build)

    def __call__(self, rows: Int[Tensor, " t"]) -> StepNames:
        """Names, prompts and tokens of the classes with indices `rows`."""
        return self._names(tuple(rows.tolist()))

    def _build(self, rows: tuple[int, ...]) -> StepNames:
        part = Vocabulary(tuple(self.vocabulary.entries[row] for row in rows))
        table = self._prompts.table(part)
        return StepNames(torch.tensor(rows), table, self._tokenizer(table.texts))


def present_classes(labels: Int[Tensor, "*s"], classes: int) -> Bool[Tensor, " t"]:
    """Boolean mask of the classes that have at least one labelled pixel."""
    return torch.bincount(labels[labels != IGNORE].flatten(), minlength=classes) > 0


def names_of_step(run: Run, index: int, parts: list[Pictures]) -> Int[Tensor, " t"]:
    """Class indices of a step, the same in every process: chosen from the classes present in the labels of all."""
    wanted, classes = run.recipe.names_per_step, run.classes
    if wanted is None:
        return torch.arange(classes)
    present = torch.stack([present_classes(part.labels, classes) for part in parts]).any(0)
    anywhere = run.fabric.all_reduce(present.int().to(run.fabric.device), reduce_op="max").bool().cpu()
    return choose_rows(anywhere, wanted, names_generator(run.recipe.seed, index))


def masks_of_step(run: Run, rows: Int[Tensor, " t"], parts: list[Pictures]) -> list[float | None]:
    """Number of ground-truth masks of the classes `rows` in each micro-batch, averaged over processes; None: only one.

    Processes exchange it before the forward pass, since one of them may leave its first pass early (`first_losses`).
    """
    if run.fabric.world_size == 1:
        return [None] * len(parts)
    shown = [torch.stack([present_classes(image, run.classes)[rows] for image in part.labels]) for part in parts]
    counts = torch.stack([one.sum() for one in shown]).float().to(run.fabric.device)
    return list(run.fabric.all_reduce(counts, reduce_op="mean").tolist())


def choose_rows(present: Bool[Tensor, " t"], wanted: int | None, generator: np.random.Generator) -> Int[Tensor, " n"]:
    """Class indices for a step, ascending: all classes present, filled up to `wanted` with random absent ones.

    When more than `wanted` classes are present, `wanted` of them are drawn at random: memory stays bounded, and pixels
    of the others belong to no class of the step. `wanted` of None takes all classes.
    """
    order = torch.from_numpy(generator.permutation(len(present)))
    chosen = torch.cat([order[present[order]], order[~present[order]]])[:wanted]
    return chosen.sort().values


def relabel(labels: Int[Tensor, "*s"], rows: Int[Tensor, " n"], classes: int) -> Int[Tensor, "*s"]:
    """Labels re-indexed to positions in `rows`; pixels of other classes become `IGNORE`."""
    table = torch.full((classes + 1,), IGNORE, dtype=labels.dtype)
    table[rows] = torch.arange(len(rows), dtype=labels.dtype)
    return table[labels]  # IGNORE is -1, so it indexes the last entry, which is IGNORE
