"""TIPSv2: published files are read, dense features follow the value path of the last block, texts are means."""

from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.tips import Tipsv2Backbone, tips_weights
from ahs_seg.io.weight_files import in_memory
from tests.support.backbone_kinds import tiny_backbone

pytestmark = pytest.mark.skipif(
    not hasattr(transformers, "Tipsv2Model"), reason="TIPSv2 needs a newer version of transformers"
)


@pytest.fixture
def backbone() -> Tipsv2Backbone:
    found = tiny_backbone("tipsv2", resolution=32)
    assert isinstance(found, Tipsv2Backbone)
    return found


@pytest.fixture
def published(backbone: Tipsv2Backbone, tmp_path: Path) -> Path:
    """A directory with the keys of the published files, which `transformers` writes as well."""
    backbone.model.save_pretrained(tmp_path)
    backbone.save_description(tmp_path)
    assert "text_encoder.transformer.resblocks.0.attn.in_proj_weight" in load_file(tmp_path / "model.safetensors")
    return tmp_path


def test_published_files_are_read_and_packed_weights_are_taken_apart(backbone: Tipsv2Backbone, published: Path) -> None:
    built = ClipConfig(source=str(published)).build()
    state = backbone.network_state()
    assert built.network_state().keys() == state.keys()
    assert all(torch.equal(built.network_state()[key], state[key]) for key in state)


def test_a_temperature_that_no_file_has_is_that_of_the_config(backbone: Tipsv2Backbone) -> None:
    state = backbone.network_state()
    del state["temperature"]
    found = tips_weights(in_memory(state), backbone.model.config)
    assert found["temperature"].read() == pytest.approx(0.005065968260169029)
    assert found.keys() == backbone.network_state().keys()


def test_a_missing_part_is_named(published: Path) -> None:
    state = load_file(published / "model.safetensors")
    state.pop("vision_encoder.blocks.1.attn.qkv.weight")
    (published / "model.safetensors").unlink()
    torch.save(state, published / "pytorch_model.bin")
    with pytest.raises(BackboneError, match=r"3 missing: vision_model\.encoder\.layer\.1\.attention\.k_proj"):
        ClipConfig(source=str(published)).build()


@torch.no_grad()
def test_dense_features_are_values_with_the_residual_of_their_patch(backbone: Tipsv2Backbone) -> None:
    images = torch.rand(1, 3, 32, 32)
    tower = backbone.model.vision_model
    found = backbone.encode_image(images, levels=(0, 2), pooled=True)
    expected = tower(pixel_values=backbone.normalise(images), output_hidden_states=True)
    assert found.pooled is not None
    torch.testing.assert_close(found.pooled, expected.pooler_output, rtol=1e-4, atol=1e-5)
    patches = expected.hidden_states[1][:, backbone.leading :]
    torch.testing.assert_close(found.levels[0].flatten(2).mT, patches, rtol=1e-4, atol=1e-5)
    last, tokens = tower.encoder.layer[-1], expected.hidden_states[2][:, backbone.leading :]
    update = last.attention.o_proj(last.attention.v_proj(last.norm1(tokens)))
    tokens = tokens + last.layer_scale1(update)
    tokens = tokens + last.layer_scale2(last.mlp(last.norm2(tokens)))
    torch.testing.assert_close(found.levels[1].flatten(2).mT, tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.dense.flatten(2).mT, tower.layernorm(tokens), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_another_grid_is_that_of_transformers(backbone: Tipsv2Backbone) -> None:
    images = torch.rand(1, 3, 24, 40)
    expected = backbone.model.vision_model(pixel_values=backbone.normalise(images)).pooler_output
    torch.testing.assert_close(backbone.encode_image(images, pooled=True).pooled, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_text_is_the_mean_over_its_tokens(backbone: Tipsv2Backbone) -> None:
    tokens = backbone.tokenizer(["a", "cat dog"])
    padded = torch.zeros(2, backbone.tokenizer.context, dtype=torch.long)
    padded[:, : tokens.ids.shape[1]] = tokens.ids
    mask = (torch.arange(padded.shape[1]) <= tokens.ends[:, None]).long()
    expected = backbone.model.text_model(input_ids=padded, attention_mask=mask).pooler_output
    torch.testing.assert_close(backbone.encode_text(tokens), expected, rtol=1e-4, atol=1e-5)
