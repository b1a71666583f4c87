"""Model directories: saving, loading, import of published checkpoints, exchange with the hub."""

from ahs_seg.checkpoints.model_dir import CheckpointError, ModelDescription, load_model, read_description, save_model

__all__ = ["CheckpointError", "ModelDescription", "load_model", "read_description", "save_model"]
