"""A model directory that all tests of suites share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.methods import ZeroShotConfig
from tests.support.world_runs import WORLD


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    seen = tuple(WORLD.open().vocabulary.labels[:10])
    directory = tmp_path_factory.mktemp("model") / "tiny"
    return save_model(config.build(), ModelDescription(method=config, trained_on=seen), directory)
