"""Preparation of the benchmarks from their original archives: one file per dataset, and shared steps."""

from __future__ import annotations

from typing import Final

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.ade20k_150 import ADE20K_150
from ahs_seg.data.prepare.ade20k_847 import ADE20K_847
from ahs_seg.data.prepare.coco_stuff import COCO_STUFF_171, COCO_STUFF_171_TRAIN
from ahs_seg.data.prepare.errors import MissingSourceError, PrepareError
from ahs_seg.data.prepare.pascal_context_59 import PASCAL_CONTEXT_59
from ahs_seg.data.prepare.pascal_context_459 import PASCAL_CONTEXT_459
from ahs_seg.data.prepare.pascal_voc import PASCAL_VOC_20, PASCAL_VOC_20B
from ahs_seg.data.prepare.preparation import Preparation, PrepareSummary
from ahs_seg.data.prepare.verification import Verification, verify

__all__ = [
    "PREPARATIONS",
    "MissingSourceError",
    "Preparation",
    "PrepareError",
    "PrepareSummary",
    "Verification",
    "find_preparation",
    "verify",
]

PREPARATIONS: Final = (
    ADE20K_150,
    ADE20K_847,
    PASCAL_CONTEXT_59,
    PASCAL_CONTEXT_459,
    PASCAL_VOC_20,
    PASCAL_VOC_20B,
    COCO_STUFF_171,
    COCO_STUFF_171_TRAIN,
)


def find_preparation(name: str) -> Preparation:
    """Preparation of the benchmark of the given name.

    Raises:
        CatalogError: the name is unknown; the message lists the known ones.
    """
    spec = find_spec(name)
    return next(preparation for preparation in PREPARATIONS if preparation.spec is spec)
