"""Small models and folders that the parts of the campaign share."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.methods import ZeroShotConfig
from tests.support.drawn_images import drawn

WORDS = "sky, sand, disk"


def zero_shot(folder: Path) -> Path:
    """A model directory: the tiny CLIP, which needs no training."""
    method = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    return save_model(method.build(), ModelDescription(method=method, trained_on=("sky", "sand")), folder)


def photographs(folder: Path, count: int) -> list[Path]:
    """Intact images of different sizes, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"intact-{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(drawn(40 + 3 * number, 64, seed=number)).save(path)
    return paths
