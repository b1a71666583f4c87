"""The k best classes of every pixel, and the log-odds of all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.inference.predict import InferenceConfig, frames_of, merge_views, run_views
from ahs_seg.inference.score_maps import FLOAT_BYTES, AnyView, ScoreMaps, SharedScores
from ahs_seg.methods.base import Method
from ahs_seg.types import Words

MAX_LOGIT_BYTES: Final = 4 * 2**30
_SMALLEST: Final = 1e-7
"""Scores are clamped to at least this distance from 0 and 1 before the log-odds are taken."""


class OutputOptionsError(AhsSegError, ValueError):
    """The requested outputs are not possible, for example the logits of too many classes."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best classes of every pixel, best first, with scores in [0, 1]; `logits` are log-odds of all classes."""

    labels: Int[Tensor, "k H W"]
    scores: Float[Tensor, "k H W"]
    logits: Float[Tensor, "t H W"] | None = None


@torch.inference_mode()
def rank(
    method: Method,
    image: UInt8[np.ndarray, "H W 3"],
    text: Words,
    config: InferenceConfig,
    *,
    row_class: Sequence[int],
    depth: int,
    logits: bool = False,
) -> Ranking:
    """The `depth` best classes (all, if there are fewer) of every pixel of an image; the first is that of `predict`.

    Memory grows with `depth`, not with the number of classes. With `logits`, the result also has the log-odds of the
    merged score of every class at full image size.

    Raises:
        OutputOptionsError: the log-odds of all classes would take more than 4 GiB.
    """
    classes = row_class[-1] + 1
    height, width = image.shape[:2]
    if logits and classes * height * width * FLOAT_BYTES > MAX_LOGIT_BYTES:
        raise OutputOptionsError(
            f"the logits of {classes} classes at {width}x{height} take {classes * height * width * FLOAT_BYTES:,} "
            f"bytes; at most {MAX_LOGIT_BYTES:,} are returned. Name fewer classes, shrink the image, or use top_k."
        )
    frames = frames_of(image, config, method.backbone, keep_aspect=method.keeps_aspect)
    views = run_views(method, frames.pixels.to(text.device), text, config.batch)
    _, maps = merge_views(views, frames, method, text, config)
    depth = min(depth, classes)
    rows = _rows(views, row_class, depth=classes if logits else depth)
    memory = config.memory_bytes
    labels, scores = best_classes(maps, rows, row_class, depth=depth, memory_bytes=memory)
    return Ranking(labels, scores, _log_odds(maps, rows, row_class, memory) if logits else None)


def best_classes(
    maps: ScoreMaps, rows: Int[Tensor, " c"], row_class: Sequence[int], *, depth: int, memory_bytes: int
) -> tuple[Int[Tensor, "k H W"], Float[Tensor, "k H W"]]:
    """The `depth` classes with the highest scores at every pixel, best first, and their scores.

    On ties the class with the lower index comes first. Text row r belongs to class `row_class[r]` (ascending); the
    score of a class is that of its best row. Keeps `depth` + 1 maps in addition to those being computed.
    """
    if isinstance(maps, SharedScores):
        ranked = maps.ranked()
        labels, values = best_classes(ranked, rows, row_class, depth=depth, memory_bytes=memory_bytes)
        return labels, ranked.scores(values)
    ranks: list[tuple[Tensor, Tensor]] = []
    current: tuple[int, Tensor] | None = None
    for some in torch.split(rows, max(1, memory_bytes // maps.row_bytes)):
        for row, scores in zip(some.tolist(), maps(some), strict=True):
            if current is not None and current[0] == row_class[row]:
                torch.maximum(current[1], scores, out=current[1])
                continue
            if current is not None:
                _insert(ranks, *current, depth=depth)
            current = (row_class[row], scores.clone())
    if current is None:
        raise ValueError("there are no classes to choose from; give the text embeddings of at least one class")
    _insert(ranks, *current, depth=depth)
    return torch.stack([labels for labels, _ in ranks]), torch.stack([scores for _, scores in ranks])


def _insert(ranks: list[tuple[Tensor, Tensor]], label: int, scores: Tensor, *, depth: int) -> None:
    """Insert one class into the ranking of every pixel, which keeps at most `depth` classes.

    All classes below it move down by one. On ties the class that was inserted first stays first.
    """
    labels = torch.full_like(scores, label, dtype=torch.int32)
    higher = torch.zeros_like(scores, dtype=torch.bool)
    for rank, (above, best) in enumerate(ranks):
        higher = higher | (scores > best)
        ranks[rank] = (torch.where(higher, labels, above), torch.where(higher, scores, best))
        labels, scores = torch.where(higher, above, labels), torch.where(higher, best, scores)
    if len(ranks) < depth:
        ranks.append((labels, scores))


def _rows(views: Sequence[AnyView], row_class: Sequence[int], *, depth: int) -> Int[Tensor, " c"]:
    """The text rows, ascending, that can be among the `depth` best classes.

    These are the rows kept by any view, and the first `depth` classes of the others: all others have the same score at
    every pixel.
    """
    device = views[0].device
    kept = [view.kept_rows for view in views if view.kept_rows is not None]
    if len(kept) < len(views):
        return torch.arange(len(row_class), device=device)
    chosen = set(torch.cat(kept).tolist())
    others = [row for row in range(len(row_class)) if row not in chosen]
    allowed = set(list(dict.fromkeys(row_class[row] for row in others))[:depth])
    return torch.tensor(sorted(chosen | {row for row in others if row_class[row] in allowed}), device=device)


def _log_odds(
    maps: ScoreMaps, rows: Int[Tensor, " c"], row_class: Sequence[int], memory_bytes: int
) -> Float[Tensor, "t H W"]:
    result: Tensor | None = None
    for some in torch.split(rows, max(1, memory_bytes // maps.row_bytes)):
        for row, scores in zip(some.tolist(), maps(some), strict=True):
            if result is None:
                result = torch.zeros(row_class[-1] + 1, *scores.shape, device=scores.device)
            place = result[row_class[row]]
            torch.maximum(place, scores, out=place)
    assert result is not None
    return result.logit_(_SMALLEST)
