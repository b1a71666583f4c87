"""Drawn images, words and files for runs over many images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

WORDS = "cat, sofa, lamp"


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture of soft blotches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
