"""A CLIP in the place of a model."""

from pathlib import Path

import numpy as np
import pytest

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_config import TINY
from ahs_seg.checkpoints.training_free import clip_of, open_training_free, save_training_free
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.segmenter import Segmenter
from tests.support.clip_directories import clip_directory
from tests.support.drawn_images import drawn
from tests.support.hub_server import Hub


def test_which_sources_are_a_clip(tmp_path: Path) -> None:
    assert clip_of("clip:owner/name@v1") == "owner/name@v1"
    assert clip_of(clip_directory(tmp_path / "clip")) == str(tmp_path / "clip")
    assert clip_of(save_training_free(TINY, tmp_path / "model")) is None
    assert clip_of("owner/name") is None
    assert clip_of(tmp_path) is None


def test_a_directory_of_a_clip_segments_and_is_saved(tmp_path: Path) -> None:
    clip = clip_directory(tmp_path / "clip")
    image = drawn(64, 48, 0)
    segmenter = Segmenter.from_pretrained(clip)
    expected = segmenter(image, "sky, red star").labels
    saved = Segmenter.from_pretrained(segmenter.save_pretrained(tmp_path / "python"))
    assert np.array_equal(saved(image, "sky, red star").labels, expected)
    written = Segmenter.from_pretrained(save_training_free(str(clip), tmp_path / "shell"))
    assert np.array_equal(written(image, "sky, red star").labels, expected)
    assert "Not trained for segmentation" not in (tmp_path / "shell" / "README.md").read_text()
    assert f"pre-training of {clip}, none for segmentation" in (tmp_path / "shell" / "README.md").read_text()


def test_a_name_on_the_hub(hub: Hub, tmp_path: Path) -> None:
    clip = clip_directory(tmp_path / "clip")
    hub.repositories["me/clip"] = {path.name: path.read_bytes() for path in clip.iterdir()}
    description, method = open_training_free("me/clip")
    assert description.method.backbone.source == "me/clip"
    assert not method.training
    assert description.training is not None
    assert description.training.kind is None


def test_what_the_packaged_clip_knows() -> None:
    training = open_training_free(TINY)[0].training
    assert training is not None
    assert training.kind == "drawn scenes"


def test_what_is_no_clip_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot load a CLIP from"):
        open_training_free(str(tmp_path / "nothing"))


def test_the_directory_of_the_clip_is_not_replaced(tmp_path: Path) -> None:
    clip = clip_directory(tmp_path / "clip")
    before = {path: path.read_bytes() for path in clip.iterdir() if path.is_file()}
    with pytest.raises(OverwriteError, match="holds the input"):
        save_training_free(str(clip), clip)
    assert {path: path.read_bytes() for path in clip.iterdir() if path.is_file()} == before
