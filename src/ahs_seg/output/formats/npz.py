"""NPZ format: arrays `labels`, `scores` and `classes` in one compressed file without pickled objects.

Results with the best classes of every pixel have `top_labels` and `top_scores` (k H W), best first, as well.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from ahs_seg.io.atomic import write_bytes
from ahs_seg.output.formats.base import ExportItem


def write_npz(item: ExportItem, path: Path) -> None:
    """Write `labels` (int32, -1 is unknown), `scores` (float16) and `classes` (strings), readable by `np.load`."""
    result, buffer = item.result, io.BytesIO()
    names = np.array(result.vocabulary.labels)
    arrays: dict[str, Any] = {"labels": result.labels, "scores": result.scores.astype(np.float16), "classes": names}
    top_labels, top_scores = getattr(result, "top_labels", None), getattr(result, "top_scores", None)
    if top_labels is not None and top_scores is not None:
        arrays |= {"top_labels": top_labels, "top_scores": top_scores.astype(np.float16)}
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())
