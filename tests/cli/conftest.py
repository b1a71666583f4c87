"""A packaged model that all tests of commands share."""

from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.methods import ZeroShotConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    description = ModelDescription(method=config, trained_on=("sky", "sand"))
    return save_model(config.build(), description, tmp_path_factory.mktemp("models") / "model")
