"""Sizes read here equal those that `transformers` reads, and what is not plain is left to it."""

import copy
import json
import pickle
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from transformers import CLIPConfig

from ahs_seg.backbones.clip_sizes import ClipSizes
from ahs_seg.backbones.kinds import KINDS

TINY = json.loads((files("ahs_seg") / "assets" / "tiny_clip" / "config.json").read_text())


def written(**changes: Any) -> dict[str, Any]:
    """The config of the packaged CLIP; `vision_config__patch_size=8` changes a size, None removes it."""
    values = copy.deepcopy(TINY)
    for name, value in changes.items():
        *path, last = name.split("__")
        place = values
        for part in path:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return values


def test_plain_configs_have_the_values_that_transformers_reads() -> None:
    expected, found = CLIPConfig.from_dict(copy.deepcopy(TINY)), ClipSizes.of_plain(TINY)
    assert found is not None
    for tower in ("text_config", "vision_config"):
        for name, value in getattr(found, tower).to_dict().items():
            assert getattr(getattr(expected, tower), name) == value, name
    for name in ("projection_dim", "logit_scale_init_value", "initializer_factor"):
        assert getattr(found, name) == getattr(expected, name)


def test_what_is_saved_is_what_transformers_saves(tmp_path: Path) -> None:
    sizes = ClipSizes.of_plain(TINY)
    assert sizes is not None
    sizes.save_pretrained(tmp_path / "a")
    CLIPConfig.from_dict(copy.deepcopy(TINY)).save_pretrained(tmp_path / "b")
    assert (tmp_path / "a/config.json").read_bytes() == (tmp_path / "b/config.json").read_bytes()
    again = ClipSizes.of_plain(json.loads((tmp_path / "a/config.json").read_text()))
    assert again is not None
    assert again.vision_config == sizes.vision_config
    assert sizes.to_dict() == CLIPConfig.from_dict(copy.deepcopy(TINY)).to_dict()


def test_copies_are_equal() -> None:
    sizes = ClipSizes.of_plain(TINY)
    assert sizes is not None
    for twin in (copy.deepcopy(sizes), pickle.loads(pickle.dumps(sizes))):
        assert twin.text_config == sizes.text_config
        assert twin.values == sizes.values


@pytest.mark.parametrize(
    "changes",
    [
        {"text_config": None},
        {"vision_config": [1]},
        {"text_config_dict": {"hidden_size": 3}},
        {"projection_dim": None},
        {"projection_dim": 2.5},
        {"logit_scale_init_value": "4"},
        {"vision_config__hidden_size": None},
        {"vision_config__hidden_size": True},
        {"vision_config__num_attention_heads": 0},
        {"vision_config__num_attention_heads": 3},
        {"vision_config__hidden_act": 3},
        {"vision_config__stem_channels": "many"},
        {"vision_config__surprise": 1},
        {"text_config__eos_token_id": [1, 2]},
        {"text_config__layer_norm_eps": "small"},
        {"text_config__vocab_size": -1},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_to_transformers(changes: dict[str, Any]) -> None:
    assert ClipSizes.of_plain(written(**changes)) is None


def test_a_clip_is_read_here_and_its_relatives_by_transformers() -> None:
    assert isinstance(KINDS["clip"].read_config(TINY), ClipSizes)
    assert isinstance(KINDS["clip"].read_config(written(text_config__eos_token_id=None)), CLIPConfig)
    assert type(KINDS["siglip"].read_config({})).__name__ == "SiglipConfig"
