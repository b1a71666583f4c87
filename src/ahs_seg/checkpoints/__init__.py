"""Model directories: saving, loading, import of published checkpoints, exchange with the hub."""

from ahs_seg.checkpoints.model_dir import ModelDescription, load_model, read_description, save_model
from ahs_seg.errors import CheckpointError

__all__ = ["CheckpointError", "ModelDescription", "load_model", "read_description", "save_model"]
