"""Segmenting many files, and files of any size."""

from ahs_seg.batch.engines import ModelSource, engine_for
from ahs_seg.batch.inputs import list_sources
from ahs_seg.batch.run import segment_files
from ahs_seg.batch.summary import ClassArea, Summary
from ahs_seg.batch.work import BatchConfig, Failed

__all__ = [
    "BatchConfig",
    "ClassArea",
    "Failed",
    "ModelSource",
    "Summary",
    "engine_for",
    "list_sources",
    "segment_files",
]
