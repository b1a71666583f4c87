"""Mask2Former's names become those of our decoders, every weight of which is given."""

import torch

from ahs_seg.checkpoints.importing.convert_mask2former import masked_decoder_rules, pixel_decoder_rules
from ahs_seg.checkpoints.importing.key_rules import convert
from tests.support.mask_decoders import pixel_decoder, query_decoder

PIXELS = {
    "input_proj.0.1.bias": "input_projections.0.1.bias",
    "transformer.level_embed": "level_embed",
    "transformer.encoder.layers.1.self_attn.value_proj.weight": "encoder.layers.1.self_attn.value_proj.weight",
    "transformer.encoder.layers.0.norm1.weight": "encoder.layers.0.self_attn_layer_norm.weight",
    "transformer.encoder.layers.0.norm2.bias": "encoder.layers.0.final_layer_norm.bias",
    "transformer.encoder.layers.1.linear2.weight": "encoder.layers.1.fc2.weight",
    "adapter_1.norm.weight": "adapter_1.1.weight",
    "layer_1.weight": "layer_1.0.weight",
    "mask_features.bias": "mask_projection.bias",
}
QUERIES = {
    "query_feat.weight": "queries_features.weight",
    "transformer_cross_attention_layers.2.norm.weight": "decoder.layers.2.cross_attn_layer_norm.weight",
    "transformer_self_attention_layers.0.self_attn.out_proj.bias": "decoder.layers.0.self_attn.out_proj.bias",
    "transformer_ffn_layers.1.linear1.weight": "decoder.layers.1.fc1.weight",
    "decoder_norm.bias": "decoder.layernorm.bias",
    "mask_embed.layers.2.weight": "decoder.mask_predictor.mask_embedder.2.0.weight",
}


def test_names_of_the_pixel_decoder_are_those_of_ours() -> None:
    state = {f"a.{old}": torch.zeros(1) for old in PIXELS}
    found = convert(state, pixel_decoder_rules(r"a\.", "b."))
    assert set(found.state) == {f"b.{new}" for new in PIXELS.values()}
    assert set(PIXELS.values()) <= set(pixel_decoder().state_dict())


def test_names_of_the_masked_decoder_are_those_of_ours() -> None:
    state = {f"a.{old}": torch.zeros(1) for old in QUERIES}
    found = convert(state, masked_decoder_rules(r"a\.", "b."))
    assert set(found.state) == {f"b.{new}" for new in QUERIES.values()}
    assert set(QUERIES.values()) <= set(query_decoder().state_dict())


def test_one_matrix_of_attention_becomes_three() -> None:
    fused = torch.arange(12.0).view(6, 2)
    found = convert(
        {"transformer_self_attention_layers.0.self_attn.in_proj_weight": fused}, masked_decoder_rules("", "")
    )
    parts = [found.state[f"decoder.layers.0.self_attn.{name}_proj.weight"] for name in "qkv"]
    assert torch.equal(torch.cat(parts), fused)
