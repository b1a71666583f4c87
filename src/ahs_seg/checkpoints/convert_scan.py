"""From the names of SCAN's official checkpoints to ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ahs_seg.checkpoints.convert_clip import image_tower_rules, text_tower_rules, thirds
from ahs_seg.checkpoints.convert_mask2former import masked_decoder_rules, pixel_decoder_rules
from ahs_seg.checkpoints.names import Conversion, ConversionError, Rule, convert

_ADAPTER = r"clip_adapter\."
_WB = r"\.(weight|bias)"
_SHIFTED = "clip_adapter.clip_model."


def convert_scan(state: Mapping[str, Tensor]) -> Conversion:
    """Weights under our names; raises `ConversionError` naming any key that is not known.

    Of the fused matrices of the refinement only the third of the values stays: on sequences of length one queries and
    keys have no effect.
    """
    return convert(state, scan_rules())


def join_shifted(state: Mapping[str, Tensor], shifted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint of stage one with the fine-tuned CLIP of stage two in the place of its `clip_model`.

    Raises:
        ConversionError: the second file has other weights than a CLIP, or lacks some.
    """
    begun = {key for key in state if key.startswith(_SHIFTED)}
    cut = {key.removeprefix("module.").removeprefix("clip_model."): tensor for key, tensor in shifted.items()}
    tuned = {_SHIFTED + key: tensor for key, tensor in cut.items()}
    tuned = {key: tensor for key, tensor in tuned.items() if not key.endswith("attn_mask")}
    if missing := sorted(key for key in begun - tuned.keys() if not key.endswith("attn_mask")):
        raise ConversionError(f"the fine-tuned CLIP lacks {len(missing)} weights, the first {missing[0]}")
    if extra := sorted(tuned.keys() - begun):
        raise ConversionError(f"the fine-tuned CLIP has {len(extra)} weights too many, the first {extra[0]}")
    return {**state, **tuned}


def scan_rules() -> list[Rule]:
    """Rules for all keys of a checkpoint."""
    return [
        *_swin_rules(),
        *pixel_decoder_rules(r"sem_seg_head\.pixel_decoder\.", "pixel_decoder."),
        Rule(r"sem_seg_head\.predictor\.class_embed\.layers\.0" + _WB, r"class_embed.0.\1"),
        Rule(r"sem_seg_head\.predictor\.class_embed\.layers\.1" + _WB, r"class_embed.2.\1"),
        *masked_decoder_rules(r"sem_seg_head\.predictor\.", "decoder."),
        *image_tower_rules(_ADAPTER + r"original_clip\.", "backbone.model."),
        *image_tower_rules(_ADAPTER + r"clip_model\.visual\.", "shifted."),
        Rule(_ADAPTER + r"clip_model\.attn_mask", ignored="a constant, the text tower is causal"),
        *text_tower_rules(_ADAPTER + r"clip_model\.", "backbone.model."),
        Rule(_ADAPTER + r"non_object_embedding", "void"),
        Rule(_ADAPTER + r"pixel_(mean|std)", ignored="a constant, which the backbone owns"),
        Rule(r"pixel_(mean|std)", ignored="a constant, which the backbone owns"),
        Rule(r"criterion\.empty_weight", ignored="a constant of the loss"),
        *_semantic_rules(),
    ]


def _semantic_rules() -> list[Rule]:
    layer, ours = r"lightweight_transformer\.layers\.(\d)\.", r"semantic.layers.\1."
    return [
        Rule(r"LFM\.(conv[12])" + _WB, r"semantic.filter.\1.\2"),
        Rule(r"oriclip_mlp\.fc1" + _WB, r"semantic.project.0.\1"),
        Rule(r"oriclip_mlp\.fc2" + _WB, r"semantic.project.1.\1"),
        Rule(r"fusion_decoder\.multiattn\.(\d)\.(.+)", r"semantic.looks.\1.\2"),
        Rule(r"fusion_decoder\.ln\.(\d)" + _WB, r"semantic.norms.\1.\2"),
        Rule(r"learnable_weight", "semantic.prior"),
        Rule(layer + r"self_attn\.in_proj_(?:weight|bias)", ours + "value.", change=_values),
        Rule(layer + r"self_attn\.out_proj" + _WB, ours + r"output.\2"),
        Rule(layer + r"(linear[12]|norm[12])" + _WB, ours + r"\2.\3"),
    ]


def _swin_rules() -> list[Rule]:
    swin, stage = "pixels.model.swin.", r"backbone\.layers\.(\d)\."
    block, ours = stage + r"blocks\.(\d+)\.", swin + r"encoder.layers.\1."
    layer = ours + r"blocks.\2."
    return [
        Rule(r"backbone\.patch_embed\.proj" + _WB, swin + r"embeddings.patch_embeddings.projection.\1"),
        Rule(r"backbone\.patch_embed\.norm" + _WB, swin + r"embeddings.norm.\1"),
        Rule(block + r"norm1" + _WB, layer + r"layernorm_before.\3"),
        Rule(block + r"norm2" + _WB, layer + r"layernorm_after.\3"),
        Rule(block + r"attn\.qkv\.(?:weight|bias)", layer + "attention.", change=thirds),
        Rule(block + r"attn\.proj" + _WB, layer + r"attention.o_proj.\3"),
        Rule(
            block + r"attn\.relative_position_bias_table",
            layer + "attention.relative_position_bias.relative_position_bias_table",
        ),
        Rule(block + r"attn\.relative_position_index", ignored="a constant, computed from the window"),
        Rule(block + r"mlp\.(fc[12])" + _WB, layer + r"mlp.\3.\4"),
        Rule(stage + r"downsample\.(norm|reduction)" + _WB, ours + r"downsample.\2.\3"),
        *(
            Rule(rf"backbone\.norm{index}{_WB}", rf"pixels.model.hidden_states_norms.stage{index + 1}.\1")
            for index in range(4)
        ),
    ]


def _values(tensor: Tensor) -> dict[str, Tensor]:
    return {"weight" if tensor.ndim == 2 else "bias": tensor.chunk(3)[2].clone()}
