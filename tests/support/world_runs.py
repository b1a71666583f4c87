"""Small evaluations of drawn scenes."""

from __future__ import annotations

from pathlib import Path

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.data.config import WorldData
from ahs_seg.evaluation.protocols import own_protocol
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.vocabulary.prompts import PromptConfig

WORLD = WorldData(scenes="test", count=5, names=20)

OWN = own_protocol(InferenceConfig(), PromptConfig())

SMALL = OWN.replace(name="small", inference=InferenceConfig(shortest_edge=48))


def saved_model(directory: Path) -> Path:
    """A model directory of the packaged CLIP that has seen the first ten classes of `WORLD`."""
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    seen = tuple(WORLD.open().vocabulary.labels[:10])
    return save_model(config.build(), ModelDescription(method=config, trained_on=seen), directory)
