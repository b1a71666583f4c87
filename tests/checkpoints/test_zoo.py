"""From whatever people name as a model to a model."""

from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, save_model
from ahs_seg.checkpoints.zoo import find_model, open_model
from ahs_seg.methods import ZeroShotConfig
from tests.support.builders import random_backbone
from tests.support.small_methods import CAT_SEG


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `ahs-seg train` leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "s3"
    save_model(CAT_SEG.compose(random_backbone()), ModelDescription(method=CAT_SEG), folder / "model")
    return folder


def test_a_run_directory_is_its_model(run: Path) -> None:
    assert find_model(run) == run / "model"
    assert find_model(str(run / "model")) == run / "model"
    assert open_model(run)[0] == load_model(run / "model")[0]


def test_a_clip_is_training_free_segmentation(offline: Path) -> None:
    description, method = open_model(f"clip:{TINY}")
    assert description.method == ZeroShotConfig(backbone=ClipConfig(source=TINY))
    assert not method.training


def test_where_a_directory_is_needed_a_clip_is_to_be_written_first(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"`ahs-seg import clip:tiny -o DIRECTORY`"):
        find_model("clip:tiny")


@pytest.mark.parametrize("source", ["cat-seg-vitx", "a/b/c", "no where"])
def test_what_is_no_model_says_what_is_allowed(offline: Path, source: str) -> None:
    with pytest.raises(CheckpointError, match=r"cat-seg-vitb, .*clip:owner/name.*`ahs-seg models` lists"):
        open_model(source)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a model directory: it has no config\.json"):
        open_model(tmp_path)
