"""The drawn world: a synthetic dataset of scenes with class names and splits, generated without a download."""

from ahs_seg.data.world.dataset import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset

__all__ = ["TEST_SEED", "TRAIN_SEED", "VALIDATION_SEED", "WorldDataset"]
