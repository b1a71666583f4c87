"""Training-free segmentation with a CLIP: `clip:NAME`, or the directory of a CLIP, in the place of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints.card import write_card
from ahs_seg.checkpoints.model_dir import CONFIG, MODEL_TYPE, ModelDescription, check_model_place, save_model
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.methods import Method, ZeroShotConfig
from ahs_seg.output.familiarity import TrainingImages

PREFIX: Final = "clip:"
TINY_CERTAINTY: Final = 0.7
"""Exceeded by the packaged CLIP at home: 0.71 on the worst of 40 validation scenes (`benchmarks/at_home.py`)."""


def clip_of(source: Path | str) -> str | None:
    """The CLIP that a source names: what follows `clip:`, or the directory of a CLIP; None: it is no CLIP."""
    if isinstance(source, str) and source.startswith(PREFIX):
        return source.removeprefix(PREFIX)
    try:
        kind = read_mapping(Path(source) / CONFIG).get("model_type")
    except (OSError, ValueError, DocumentError):  # also names that no file can have
        return None
    return str(source) if isinstance(kind, str) and kind != MODEL_TYPE else None


def open_training_free(clip: str) -> tuple[ModelDescription, Method]:
    """The description of training-free segmentation with this CLIP, and the method, in evaluation mode on the CPU.

    `clip` is a directory, `owner/name` or `owner/name@revision` on the hub, or "tiny".

    Raises:
        BackboneError: there is no such CLIP, or its files are damaged.
    """
    config = ZeroShotConfig(backbone=ClipConfig(source=clip))
    return ModelDescription(method=config, training=_training(clip)), config.build().eval()


def save_training_free(clip: str, directory: Path | str) -> Path:
    """Write the model directory of training-free segmentation with this CLIP, with its card; returns its path.

    Raises:
        BackboneError: as `open_training_free`.
        OverwriteError: the directory holds other files, or the CLIP.
    """
    check_model_place(Path(directory), [Path(clip)])
    description, method = open_training_free(clip)
    target = save_model(method, description, directory)
    write_card(target, description=description)
    return target


def _training(clip: str) -> TrainingImages:
    if clip == TINY:
        told = "pre-training of the packaged CLIP"
        return TrainingImages(kind="drawn scenes", data=told, certainty=TINY_CERTAINTY)
    return TrainingImages(data=f"pre-training of {clip}, none for segmentation")
