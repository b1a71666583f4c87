"""Pooling of text embeddings and logits: from prompts to text rows, and from text rows to classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.types import ClassText


def class_embeddings(words: ClassText) -> Float[Tensor, "t d"]:
    """One unit vector per text row: the normalised mean of its normalised prompt embeddings."""
    return F.normalize(F.normalize(words.embeddings.float(), dim=-1).mean(1), dim=-1)


def sum_of_rows(rows: Float[Tensor, "t d"], row_class: Int[Tensor, " t"], classes: int) -> Float[Tensor, "k d"]:
    """The sum of the text rows of each class; zeros for a class without rows."""
    return rows.new_zeros(classes, rows.shape[1]).index_add(0, row_class, rows)


def mean_of_rows(rows: Float[Tensor, "t d"], row_class: Int[Tensor, " t"], classes: int) -> Float[Tensor, "k d"]:
    """One unit vector per class: the normalised mean of its text rows."""
    return F.normalize(sum_of_rows(rows, row_class, classes), dim=-1)


def max_of_rows(
    scores: Float[Tensor, "*b"], row_class: Int[Tensor, " t"], classes: int, dim: int
) -> Float[Tensor, "*c"]:
    """Class scores from scores of text rows along axis `dim`: the maximum over the rows of each class."""
    shape = [classes if axis == dim else length for axis, length in enumerate(scores.shape)]
    owner = row_class.view([-1 if axis == dim else 1 for axis in range(scores.ndim)]).expand_as(scores)
    return scores.new_zeros(shape).scatter_reduce(dim, owner, scores, "amax", include_self=False)


def class_logits_of_rows(
    logits: Float[Tensor, "b q r"], row_class: Int[Tensor, " t"], classes: int
) -> Float[Tensor, "b q k"]:
    """Class logits: the maximum over the text rows of each class.

    If there is one more column than text rows, it is the no-object class and stays as it is.
    """
    rows = len(row_class)
    if rows == classes:
        return logits
    best = max_of_rows(logits[..., :rows], row_class, classes, dim=2)
    return torch.cat([best, logits[..., rows:]], -1)
