"""Pictures, words and a quick segmenter for runs over files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from tests.support.tiny_models import ColourMethod

WORDS = "cat, sofa, lamp"


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture of soft blotches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven pictures of two sizes in two folders."""
    root = tmp_path / "photos"
    for index in range(5):
        save(root / f"{index}.png", drawn(24, 32, index))
    for index in range(2):
        save(root / "more" / f"{index}.png", drawn(20, 20, 9 + index))
    return root


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",)))
