"""CAT-Seg's names, a few of each part by hand, and nothing left over."""

import pytest
import torch

from ahs_seg.checkpoints.importing.convert_catseg import convert_catseg
from ahs_seg.checkpoints.importing.key_rules import ConversionError
from tests.support.official import tiny_state

HEAD = "sem_seg_head.predictor.transformer."
BY_HAND = {
    "upsample1.weight": "pyramid.upsample_fine.weight",
    "upsample2.bias": "pyramid.upsample_finest.bias",
    HEAD + "conv1.weight": "head.embed.weight",
    HEAD + "head.bias": "head.decoder.logit.bias",
    HEAD + "guidance_projection.0.weight": "pyramid.appearance.0.weight",
    HEAD + "decoder_guidance_projection.1.0.weight": "pyramid.finest.0.weight",
    HEAD + "layers.1.swin_block.block_2.attn.q.weight": "head.layers.1.spatial.shifted.query.weight",
    HEAD + "layers.0.swin_block.block_1.mlp.fc2.bias": "head.layers.0.spatial.plain.mlp.2.bias",
    HEAD + "layers.0.attention.MLP.2.weight": "head.layers.0.classwise.mlp.2.weight",
    HEAD + "decoder2.conv.double_conv.4.weight": "head.decoder.up2.norm2.weight",
}


def test_names_by_hand() -> None:
    state = {old: torch.full((2,), float(index)) for index, old in enumerate(BY_HAND)}
    found = convert_catseg(state)
    assert found.origins == {new: old for old, new in BY_HAND.items()}
    assert all(torch.equal(found.state[new], state[old]) for old, new in BY_HAND.items())
    assert found.ignored == {}


def test_a_whole_state_has_no_key_left_over() -> None:
    state = tiny_state()
    found = convert_catseg(state)
    assert set(found.origins.values()) | set(found.ignored) == set(state)
    assert all(key.startswith(("backbone.", "pyramid.", "head.")) for key in found.state)
    assert all("attn_mask" in key or reason.startswith("a size") for key, reason in found.ignored.items())


def test_padding_becomes_one_token() -> None:
    key = HEAD + "layers.0.attention.padding_tokens"
    tokens = torch.arange(6.0).view(1, 1, 6)
    found = convert_catseg({key: tokens})
    assert found.state["head.layers.0.classwise.padding_token"].tolist() == list(range(6))


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ConversionError, match=r"1 unknown keys: upsample3\.weight\. Nothing was imported"):
        convert_catseg({"upsample1.weight": torch.zeros(1), "upsample3.weight": torch.zeros(1)})
