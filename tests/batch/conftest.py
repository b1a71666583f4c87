"""Pictures, words and a quick segmenter for runs over files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from tests.support.drawn_images import drawn, save
from tests.support.tiny_models import ColourMethod


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven images of two sizes in two folders."""
    root = tmp_path / "photos"
    for index in range(5):
        save(root / f"{index}.png", drawn(24, 32, index))
    for index in range(2):
        save(root / "more" / f"{index}.png", drawn(20, 20, 9 + index))
    return root


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",)))
