"""Options that are off by default: saved, loaded, validated; models of versions without them load as before."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints.model_dir import CONFIG, ModelDescription, load_model, save_model
from ahs_seg.config import ConfigError
from ahs_seg.methods import AhsSegConfig, AhsSegLiteConfig, EBSegConfig, Method, ScanConfig
from ahs_seg.training.recipe import OptimizerConfig
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS
from tests.support.optional import OPTIONAL

NEW = {"guidance": "text", "per_class": False, "beta": "learned", "second_view": "features", "warmup": 0.0}
NEW |= {"adaptive": False, "mask_padding": False, "soft_overlap": None, "dense": None}
"""Keys that earlier versions did not write, with their defaults; some parts have other keys of the same name."""


def build(config: Any) -> Method:
    torch.manual_seed(0)
    return config.compose(random_backbone(resolution=64)).eval()


def logits(method: Method) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    images, text = torch.rand(1, 3, 40, 70, generator=generator), torch.randn(5, 1, 24, generator=generator)
    with torch.no_grad():
        return method(images, text).logits


@pytest.mark.parametrize("kind", OPTIONAL, ids=lambda kind: kind.__name__)
def test_options_are_saved(kind: Any, tmp_path: Path) -> None:
    config = OPTIONAL[kind]
    assert kind.parse(config.model_dump(mode="json")) == config
    method = build(config)
    save_model(method, ModelDescription(method=config), tmp_path / "model")
    description, loaded = load_model(tmp_path / "model")
    assert description.method == config
    assert torch.equal(logits(loaded), logits(method))


def without_new(settings: Any) -> Any:
    """Settings as an earlier version wrote them."""
    if not isinstance(settings, dict):
        return settings
    return {key: without_new(value) for key, value in settings.items() if not (key in NEW and NEW[key] == value)}


@pytest.mark.parametrize("kind", [AhsSegConfig, AhsSegLiteConfig, EBSegConfig], ids=lambda kind: kind.__name__)
def test_a_model_of_an_earlier_version_loads_as_before(kind: Any, tmp_path: Path) -> None:
    method = build(SMALL_CONFIGS[kind])
    save_model(method, ModelDescription(method=SMALL_CONFIGS[kind]), tmp_path / "model")
    path = tmp_path / "model" / CONFIG
    written = json.loads(path.read_text())
    earlier = {**written, "method": without_new(written["method"])}
    assert len(json.dumps(earlier)) < len(json.dumps(written))
    path.write_text(json.dumps(earlier))
    description, loaded = load_model(tmp_path / "model")
    assert description.method == SMALL_CONFIGS[kind]
    assert torch.equal(logits(loaded), logits(method))


@pytest.mark.parametrize(
    ("kind", "wrong", "key"),
    [
        (AhsSegConfig, {"cost": {"projection": {"guidance": "images"}}}, "guidance"),
        (AhsSegConfig, {"cost": {"projection": {"per_class": "some"}}}, "per_class"),
        (AhsSegConfig, {"tuner": {"name": "orthogonal", "modulation": {"beta": 0.7}}}, "beta"),
        (AhsSegLiteConfig, {"cost": {"rectification": {"name": "certainty", "second_view": "text"}}}, "second_view"),
        (AhsSegLiteConfig, {"cost": {"distillation": {"warmup": 1.0}}}, "warmup"),
        (AhsSegLiteConfig, {"cost": {"prototypes": {"adaptive": 3}}}, "adaptive"),
        (EBSegConfig, {"soft_overlap": {"low": 0.7}}, "high"),
        (EBSegConfig, {"backbone": {"dense": "maskclip"}}, "dense"),
        (ScanConfig, {"mask_padding": "right"}, "mask_padding"),
        (OptimizerConfig, {"published_decay": "often"}, "published_decay"),
    ],
)
def test_wrong_values_name_their_key(kind: Any, wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        kind.parse(wrong)
