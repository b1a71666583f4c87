"""From rows of a text to classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.types import ClassText


def class_embeddings(words: ClassText) -> Float[Tensor, "t d"]:
    """One unit vector per row: the mean of its prompts."""
    return F.normalize(F.normalize(words.embeddings.float(), dim=-1).mean(1), dim=-1)


def sum_of_rows(rows: Float[Tensor, "t d"], row_class: Int[Tensor, " t"], classes: int) -> Float[Tensor, "k d"]:
    """The sum of the rows of each class; 0 for a class without rows."""
    return rows.new_zeros(classes, rows.shape[1]).index_add(0, row_class, rows)


def mean_of_rows(rows: Float[Tensor, "t d"], row_class: Int[Tensor, " t"], classes: int) -> Float[Tensor, "k d"]:
    """One unit vector per class: the direction of the mean of its rows."""
    return F.normalize(sum_of_rows(rows, row_class, classes), dim=-1)


def best_of_rows(
    scores: Float[Tensor, "*b"], row_class: Int[Tensor, " t"], classes: int, dim: int
) -> Float[Tensor, "*c"]:
    """Scores with one entry per class in place of one per row along `dim`: a class has the score of its best row."""
    shape = [classes if axis == dim else length for axis, length in enumerate(scores.shape)]
    owner = row_class.view([-1 if axis == dim else 1 for axis in range(scores.ndim)]).expand_as(scores)
    return scores.new_zeros(shape).scatter_reduce(dim, owner, scores, "amax", include_self=False)


def of_classes(logits: Float[Tensor, "b q r"], row_class: Int[Tensor, " t"]) -> Float[Tensor, "b q k"]:
    """Logits of classes from those of rows: a class has its best row. A column more than rows stands for none."""
    rows, classes = len(row_class), int(row_class[-1]) + 1
    if rows == classes:
        return logits
    best = best_of_rows(logits[..., :rows], row_class, classes, dim=2)
    return torch.cat([best, logits[..., rows:]], -1)
