"""Batch segmentation of image and video files, including very large images."""

from ahs_seg.batch.addresses import fetched
from ahs_seg.batch.engines import engine_for
from ahs_seg.batch.jobs import BatchConfig, Failed, ModelSource
from ahs_seg.batch.run import check_packages, segment_files
from ahs_seg.batch.sources import list_sources
from ahs_seg.batch.summary import BatchSummary, ClassArea

__all__ = [
    "BatchConfig",
    "BatchSummary",
    "ClassArea",
    "Failed",
    "ModelSource",
    "check_packages",
    "engine_for",
    "fetched",
    "list_sources",
    "segment_files",
]
