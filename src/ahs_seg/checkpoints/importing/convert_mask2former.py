"""Conversion of Mask2Former's keys (in EBSeg and SCAN) to those of the pixel decoder and the masked decoder here."""

from __future__ import annotations

from ahs_seg.checkpoints.importing.convert_clip import thirds
from ahs_seg.checkpoints.importing.key_rules import Rule

_WB = r"\.(weight|bias)"


def pixel_decoder_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of a pixel decoder from prefix `origin` (regex) to prefix `target`."""
    layer = origin + r"transformer\.encoder\.layers\.(\d+)\."
    ours = target + r"encoder.layers.\1."
    return [
        Rule(origin + r"input_proj\.(\d)\.([01])" + _WB, target + r"input_projections.\1.\2.\3"),
        Rule(origin + r"transformer\.level_embed", target + "level_embed"),
        Rule(layer + r"self_attn\.(\w+)" + _WB, ours + r"self_attn.\2.\3"),
        Rule(layer + "norm1" + _WB, ours + r"self_attn_layer_norm.\2"),
        Rule(layer + "norm2" + _WB, ours + r"final_layer_norm.\2"),
        Rule(layer + r"linear([12])" + _WB, ours + r"fc\2.\3"),
        Rule(origin + r"(adapter|layer)_1\.weight", target + r"\1_1.0.weight"),
        Rule(origin + r"(adapter|layer)_1\.norm" + _WB, target + r"\1_1.1.\2"),
        Rule(origin + "mask_features" + _WB, target + r"mask_projection.\1"),
    ]


def masked_decoder_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of a masked-attention decoder from prefix `origin` (regex) to prefix `target`."""
    ours = target + r"decoder.layers.\1."
    cross = origin + r"transformer_cross_attention_layers\.(\d+)\."
    own = origin + r"transformer_self_attention_layers\.(\d+)\."
    feedforward = origin + r"transformer_ffn_layers\.(\d+)\."
    return [
        Rule(origin + r"query_feat\.weight", target + "queries_features.weight"),
        Rule(origin + r"query_embed\.weight", target + "queries_embedder.weight"),
        Rule(origin + r"level_embed\.weight", target + "level_embed.weight"),
        Rule(cross + r"multihead_attn\.(.+)", ours + r"cross_attn.\2"),
        Rule(cross + "norm" + _WB, ours + r"cross_attn_layer_norm.\2"),
        Rule(own + r"self_attn\.in_proj_(weight|bias)", ours + "self_attn.", change=thirds),
        Rule(own + r"self_attn\.out_proj" + _WB, ours + r"self_attn.out_proj.\2"),
        Rule(own + "norm" + _WB, ours + r"self_attn_layer_norm.\2"),
        Rule(feedforward + r"linear([12])" + _WB, ours + r"fc\2.\3"),
        Rule(feedforward + "norm" + _WB, ours + r"final_layer_norm.\2"),
        Rule(origin + "decoder_norm" + _WB, target + r"decoder.layernorm.\1"),
        Rule(origin + r"mask_embed\.layers\.(\d)" + _WB, target + r"decoder.mask_predictor.mask_embedder.\1.0.\2"),
    ]
