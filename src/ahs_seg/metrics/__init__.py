"""Segmentation metrics, computed from pixel counts that can be summed over images and processes."""

from ahs_seg.metrics.boundary import boundary_band, count_boundaries
from ahs_seg.metrics.confusion import ConfusionMatrix, LabelMap, Scores, harmonic_mean
from ahs_seg.metrics.counting import ImageCounts, Measures, MetricAccumulator, count_image
from ahs_seg.metrics.parents import ParentTable, propose_parents
from ahs_seg.metrics.sg_iou import ParentCounts, semantic_iou

__all__ = [
    "ConfusionMatrix",
    "ImageCounts",
    "LabelMap",
    "Measures",
    "MetricAccumulator",
    "ParentCounts",
    "ParentTable",
    "Scores",
    "boundary_band",
    "count_boundaries",
    "count_image",
    "harmonic_mean",
    "propose_parents",
    "semantic_iou",
]
