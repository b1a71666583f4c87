"""All methods in stages: importing this module registers those of the package."""

from ahs_seg.checkpoints.exporting import cost, ebseg, scan, zero_shot
from ahs_seg.checkpoints.exporting.stages import staged

__all__ = ["cost", "ebseg", "scan", "staged", "zero_shot"]
