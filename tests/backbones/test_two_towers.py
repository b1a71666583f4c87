"""What all backbones on a network of `transformers` share."""

import json
from pathlib import Path

import pytest
import torch

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.two_towers import TwoTowerBackbone, to_map
from tests.support.backbone_kinds import TINY_KINDS, tiny_backbone


@pytest.fixture(params=TINY_KINDS)
def backbone(request: pytest.FixtureRequest) -> TwoTowerBackbone:
    return tiny_backbone(request.param)


def test_sizes_are_those_of_the_towers(backbone: TwoTowerBackbone) -> None:
    text = 32 if backbone.kind == "tipsv2" else 16
    joint = 32 if backbone.kind in ("siglip", "siglip2", "tipsv2") else 24
    assert (backbone.dim, backbone.width, backbone.text_width) == (joint, 32, text)
    assert (backbone.depth, backbone.text_depth, backbone.heads) == (3, 2, 2)
    assert (len(backbone.attention("vision")), len(backbone.attention("text"))) == (3, 2)
    assert (len(backbone.blocks("vision")), len(backbone.blocks("text"))) == (3, 2)
    assert (backbone.patch_size, backbone.resolution, backbone.grid) == (8, 64, 8)
    rows = backbone.position_table.flatten(0, -2)
    assert len(rows) == (16 if backbone.kind.startswith("siglip") else 17)
    scale = torch.tensor(50.0) if backbone.kind == "tipsv2" else torch.tensor(2.0).exp()
    torch.testing.assert_close(backbone.logit_scale, scale)
    assert backbone.device == torch.device("cpu")
    assert any(value is next(iter(backbone.stem.parameters())) for value in backbone.image_parameters().values())
    assert {"vision_model"} <= {name.partition(".")[0] for name in backbone.image_parameters()}


def test_what_shapes_texts_is_in_the_settings(backbone: TwoTowerBackbone) -> None:
    settings = backbone.text_settings()
    assert (settings["kind"], settings["reading"]) == (backbone.kind, backbone.text_tower.reading)
    assert settings["hidden_size"] == backbone.text_width
    assert "transformers_version" not in settings
    json.dumps(settings)


def test_a_description_has_everything_but_weights(backbone: TwoTowerBackbone, tmp_path: Path) -> None:
    backbone.save_description(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "tokenizer.json", "preprocessor_config.json"}
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == backbone.kind
    twin = backbone.without_adapter()
    assert (type(twin), twin.model) == (type(backbone), backbone.model)


def test_sides_and_levels_that_do_not_exist_are_named(backbone: TwoTowerBackbone) -> None:
    with pytest.raises(
        BackboneError, match=r"image is 60x64 pixels; both sides must be multiples of 8. Pad it to 64x64"
    ):
        backbone.encode_image(torch.rand(1, 3, 64, 60))
    with pytest.raises(BackboneError, match=r"level 3 does not exist; .* levels are 0 to 2"):
        backbone.encode_image(torch.rand(1, 3, 64, 64), levels=(3,))
    with pytest.raises(BackboneError, match="resolution 60 is not a multiple of the patch size 8; use 56 or 64"):
        type(backbone)(backbone.model, backbone.tokenizer, resolution=60, mean=backbone.mean, std=backbone.std)


def test_activations_that_are_computed_again_change_no_gradient(backbone: TwoTowerBackbone) -> None:
    grads = []
    for checkpointing in (False, True):
        backbone.checkpointing = checkpointing
        backbone.zero_grad()
        found = backbone.encode_image(torch.full((1, 3, 32, 32), 0.3))
        text = backbone.encode_text(backbone.tokenizer(["a cat", "a dog"]))
        (found.dense.square().sum() + text.square().sum()).backward()
        parts = [backbone.attention(tower)[0].value.weight.grad for tower in ("vision", "text")]
        grads.append([part for part in parts if part is not None])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_tokens_fill_the_map_row_by_row() -> None:
    tokens = torch.arange(6.0).view(1, 6, 1)
    assert to_map(tokens, (2, 3))[0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
