"""From the names of SCAN's official checkpoints to ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_clip import image_tower_rules, text_tower_rules, thirds
from ahs_seg.checkpoints.importing.convert_mask2former import masked_decoder_rules, pixel_decoder_rules
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, Rule, convert
from ahs_seg.methods import ScanConfig

_ADAPTER = r"clip_adapter\."
_WB = r"\.(weight|bias)"
_SHIFTED = "clip_adapter.clip_model."


def convert_scan(state: Mapping[str, Tensor]) -> Conversion:
    """Weights under our names; raises `ConversionError` naming any key that is not known.

    Of the fused matrices of the refinement only the third of the values stays: on sequences of length one queries and
    keys have no effect.
    """
    return convert(state, scan_rules())


def scan_config(config: ScanConfig, state: Mapping[str, Tensor]) -> ScanConfig:
    """The config that fits converted weights: SCAN-L shifts context after two more blocks than SCAN-B."""
    blocks = sum(key.startswith("shifted.") and key.endswith("mlp.fc1.bias") for key in state)
    return config.replace(shifts=(1, 3, 5, 7, 9)) if blocks > 12 else config


def join_shifted(
    state: Mapping[str, Tensor], shifted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The checkpoint of stage one with the fine-tuned CLIP of stage two in the place of its own, and keys left out.

    Raises:
        ConversionError: the second file is not that CLIP.
    """
    mark = "module.clip_model."
    unused = {key: "not of the fine-tuned CLIP" for key in shifted if not key.startswith(mark)}
    tuned = {_SHIFTED + key.removeprefix(mark): tensor for key, tensor in shifted.items() if key not in unused}
    begun = {key for key in state if key.startswith(_SHIFTED)}
    if odd := sorted(key for key in begun ^ tuned.keys() if not key.endswith("attn_mask")):
        raise ConversionError(
            f"{len(odd)} weights of the fine-tuned CLIP are missing or too many, the first {odd[0]}; the second file "
            f"has them under {mark!r}"
        )
    return {**state, **tuned}, unused


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
