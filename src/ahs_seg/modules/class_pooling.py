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


def mean_of_rows(rows: Float[Tensor, "t d"], row_class: Int[Tensor, " t"]) -> Float[Tensor, "k d"]:
    """One unit vector per class: the mean of its rows."""
    classes = int(row_class[-1]) + 1
    return F.normalize(rows.new_zeros(classes, rows.shape[1]).index_add(0, row_class, rows), dim=-1)


def of_classes(logits: Float[Tensor, "b q r"], row_class: Int[Tensor, " t"]) -> Float[Tensor, "b q k"]:
    """Logits of classes from those of rows: a class has its best row. A column more than rows stands for none."""
    rows, classes = len(row_class), int(row_class[-1]) + 1
    if rows == classes:
        return logits
    owner = row_class.expand(*logits.shape[:2], -1)
    best = logits.new_zeros(*logits.shape[:2], classes).scatter_reduce(
        2, owner, logits[..., :rows], "amax", include_self=False
    )
    return torch.cat([best, logits[..., rows:]], -1)
