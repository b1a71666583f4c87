"""NPZ format: arrays `labels`, `scores` and `classes` in one compressed file without pickled objects."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ahs_seg.io.atomic import write_bytes
from ahs_seg.output.formats.base import ExportItem


def write_npz(item: ExportItem, path: Path) -> None:
    """Write `labels` (int32, -1 is unknown), `scores` (float16) and `classes` (strings), readable by `np.load`."""
    result, buffer = item.result, io.BytesIO()
    names = np.array(result.vocabulary.labels)
    np.savez_compressed(buffer, labels=result.labels, scores=result.scores.astype(np.float16), classes=names)
    write_bytes(path, buffer.getvalue())
