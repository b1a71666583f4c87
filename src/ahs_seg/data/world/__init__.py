"""A small world of drawn scenes: names, splits and pictures without a download."""

from ahs_seg.data.world.dataset import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset

__all__ = ["TEST_SEED", "TRAIN_SEED", "VALIDATION_SEED", "WorldDataset"]
