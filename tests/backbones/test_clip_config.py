"""Backbones by directory: what `transformers` saves loads, and what is wrong is said."""

import json
from pathlib import Path

import pytest
import torch
from transformers import CLIPModel

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_config import TINY, ClipConfig, check_clip_place, save_clip
from ahs_seg.config import ConfigError
from ahs_seg.io.overwrite import OverwriteError
from tests.support.builders import clip_of_transformers, random_backbone


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    backbone = random_backbone()
    backbone.save_description(tmp_path)
    clip_of_transformers(backbone).save_pretrained(tmp_path)
    return tmp_path


@torch.no_grad()
def test_a_directory_of_transformers_loads(directory: Path) -> None:
    assert isinstance(CLIPModel.from_pretrained(directory), CLIPModel)
    original, loaded = random_backbone(), ClipConfig(source=str(directory), resolution=64).build()
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded.encode_image(images).dense, original.encode_image(images).dense)
    assert loaded.tokenizer(["a cat"]).ids.tolist() == original.tokenizer(["a cat"]).ids.tolist()


def test_resolution_and_statistics_are_the_directorys_own(directory: Path) -> None:
    (directory / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 2.0, 4.0], "do_resize": True})
    )
    backbone = ClipConfig(source=str(directory)).build()
    assert backbone.resolution == 32
    grey = torch.full((1, 3, 1, 1), 0.5)
    assert backbone.normalise(grey).flatten().tolist() == pytest.approx([0.4, 0.15, 0.05], abs=1e-6)


def test_the_packaged_clip_is_a_clip_like_any_other() -> None:
    backbone = ClipConfig(source=TINY).build()
    assert (backbone.resolution, backbone.patch_size, backbone.depth, backbone.dim) == (96, 8, 4, 128)
    assert backbone.tokenizer(["A photo of a red striped star in the scene"]).ids.shape[1] <= 28


@pytest.mark.parametrize("source", ["/nowhere/at/all", "empty"])
def test_what_is_no_clip_is_refused(source: str, tmp_path: Path) -> None:
    path = source if source.startswith("/") else str(tmp_path)
    with pytest.raises(BackboneError, match=r"(?s)cannot load a CLIP from .*Give a directory") as error:
        ClipConfig(source=path).build()
    assert path in str(error.value)


@pytest.mark.parametrize("side", [0, -224])
def test_a_resolution_is_positive(side: int) -> None:
    with pytest.raises(ConfigError, match=rf"resolution: .*greater than or equal to 1 \(given: {side}\)"):
        ClipConfig(source=TINY, resolution=side)


def test_a_clip_replaces_clips_alone(tmp_path: Path) -> None:
    backbone = random_backbone()
    for _ in range(2):
        check_clip_place(tmp_path / "clip")
        save_clip(backbone.network_state(), backbone, tmp_path / "clip")
    (tmp_path / "clip" / "merges.txt").touch()
    with pytest.raises(OverwriteError, match=r"holds merges\.txt besides a CLIP"):
        check_clip_place(tmp_path / "clip")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(OverwriteError, match="other: holds other files, and a CLIP is written as a whole directory"):
        check_clip_place(tmp_path / "other")
    with pytest.raises(OverwriteError, match="holds the input"):
        check_clip_place(tmp_path / "clip", [tmp_path / "clip"])
