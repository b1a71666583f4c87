"""Models as classes of transformers: auto classes and pipeline. Importing this package registers them."""

from ahs_seg.pipelines.auto_classes import AhsSegModel, AhsSegProcessor
from ahs_seg.pipelines.transformers_pipeline import AhsSegPipeline, register_pipeline

__all__ = ["AhsSegModel", "AhsSegPipeline", "AhsSegProcessor", "register_pipeline"]
