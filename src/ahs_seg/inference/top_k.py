"""The k best classes of every pixel, and the log-odds of all classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.inference.budget import merging_bytes
from ahs_seg.inference.contests import Contender, RegionalScores, Rivals, contenders
from ahs_seg.inference.predict import InferenceConfig, frames_of, merge_views, run_views
from ahs_seg.inference.regions import regions_of
from ahs_seg.inference.score_maps import FLOAT_BYTES, AnyView, ScoreMaps, SharedScores
from ahs_seg.methods.base import Method
from ahs_seg.modules.constants import indices_on
from ahs_seg.types import Words

MAX_LOGIT_BYTES: Final = 4 * 2**30
_SMALLEST: Final = 1e-7
"""Scores are clamped to at least this distance from 0 and 1 before the log-odds are taken."""


class OutputOptionsError(AhsSegError, ValueError):
    """The requested outputs are not possible, for example the logits of too many classes."""


def check_count(name: str, value: object, meaning: str) -> None:
    """Check that an option is a whole number, at least 1; `True` is none.

    Raises:
        OutputOptionsError: it is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise OutputOptionsError(f"{name}={value!r}; give {meaning}, a whole number of at least 1")


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
    memory = merging_bytes(config.memory_bytes, rows.device)
    labels, scores = best_classes(maps, rows, row_class, depth=depth, memory_bytes=memory)
    return Ranking(labels, scores, _log_odds(maps, rows, row_class, memory) if logits else None)


def best_classes(
    maps: ScoreMaps, rows: Int[Tensor, " c"], row_class: Sequence[int], *, depth: int, memory_bytes: int
) -> tuple[Int[Tensor, "k H W"], Float[Tensor, "k H W"]]:
    """The `depth` classes with the highest scores at every pixel, best first, and their scores.

    On ties the class with the lower index comes first. Text row r belongs to class `row_class[r]` (ascending); the
    score of a class is that of its best row. Keeps `depth` maps of labels and of scores in addition to those being
    computed.
    """
    if isinstance(maps, SharedScores):
        ranked = maps.ranked()
        best, logits = best_classes(ranked, rows, row_class, depth=depth, memory_bytes=memory_bytes)
        return best, ranked.scores(logits)
    labels: Tensor | None = None
    scores: Tensor | None = None
    held: dict[tuple[int, int], int] = {}
    for label, place, values in _found(maps, rows, row_class, depth, memory_bytes):
        if labels is None or scores is None:
            labels = values.new_empty(depth, *_size(maps, values), dtype=torch.int32)
            scores = values.new_empty(labels.shape)
        there, corner = (slice(None), *place), (place[0].start or 0, place[1].start or 0)
        held[corner] = _insert(labels[there], scores[there], held.get(corner, 0), label, values)
    if labels is None or scores is None:
        raise ValueError("there are no classes to choose from; give the text embeddings of at least one class")
    most = min(held.values())
    return labels[:most], scores[:most]


def _found(
    maps: ScoreMaps, rows: Int[Tensor, " c"], row_class: Sequence[int], depth: int, memory_bytes: int
) -> Iterator[tuple[int, tuple[slice, slice], Float[Tensor, "n m"]]]:
    """Yield class after class with its scores wherever it can be among the best: in some regions, or everywhere."""
    if isinstance(maps, RegionalScores):
        rivals = Rivals(depth, indices_on(rows.device, row_class))
        contested = maps.contested(rows, rivals, memory_bytes)
        if contested is not None:
            yield from _in_regions(maps, contenders(maps, rows, contested, memory_bytes), row_class)
            return
    parts = torch.split(rows, max(1, memory_bytes // maps.row_bytes))
    scored = zip((one for some in parts for one in maps(some)), rows.tolist(), strict=True)
    for label, same in groupby(scored, key=lambda one: row_class[one[1]]):
        yield label, (slice(None), slice(None)), reduce(torch.maximum, (scores for scores, _ in same))


def _in_regions(
    maps: RegionalScores, found: Iterable[Contender], row_class: Sequence[int]
) -> Iterator[tuple[int, tuple[slice, slice], Float[Tensor, "n m"]]]:
    for label, same in groupby(found, key=lambda one: row_class[one.row]):
        rows = list(same)
        regions = regions_of(maps.coarse_size, maps.size, rows[0].coarse.device)
        for index in sorted({index for one in rows for index in one.regions}):
            region = regions[index]
            scores = [maps.finished(region.resized(one.coarse)) for one in rows if index in one.regions]
            yield label, region.place, reduce(torch.maximum, scores)


def _size(maps: ScoreMaps, values: Float[Tensor, "n m"]) -> tuple[int, int]:
    """The size of the image, of whose regions `values` may be one."""
    return maps.size if isinstance(maps, RegionalScores) else (values.shape[0], values.shape[1])


def _insert(
    labels: Int[Tensor, "k n m"], scores: Float[Tensor, "k n m"], held: int, label: int, new: Float[Tensor, "n m"]
) -> int:
    """Insert one class in place into the ranking of every pixel, which holds `held` classes; the number it holds then.

    All classes below it move down by one. On ties the class that was inserted first stays first.
    """
    below = torch.full_like(new, label, dtype=torch.int32)
    higher = torch.zeros_like(new, dtype=torch.bool)
    for above, best in zip(labels[:held], scores[:held], strict=True):
        higher = higher | (new > best)
        pushed = torch.where(higher, above, below), torch.where(higher, best, new)
        above.copy_(torch.where(higher, below, above))
        best.copy_(torch.where(higher, new, best))
        below, new = pushed
    if held == len(labels):
        return held
    labels[held], scores[held] = below, new
    return held + 1


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
