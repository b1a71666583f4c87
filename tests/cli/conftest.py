"""A packaged model that all tests of commands share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.methods import ZeroShotConfig
from tests.support.command_line import MICRO, output_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    description = ModelDescription(method=config, trained_on=("sky", "sand"))
    return save_model(config.build(), description, tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Press Ctrl-C, which also acts where the tests run in the background and the shell has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    output_of("world", "draw", "-o", root, "--count", "6", "--names", "20")
    output_of("world", "draw", "-o", root, "--count", "3", "--names", "20", "--scenes", "test")
    return root


@pytest.fixture(scope="package")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    data = f"data={{name: folder, root: {folder}, split: train}}"
    validation = f"validation={{name: folder, root: {folder}, split: test}}"
    text = output_of("train", *MICRO, data, validation, "-o", output)
    assert f"model: {output / 'model'}" in text
    return output
