"""Conversion of the keys of SCAN's official checkpoints to those of this package."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_clip import image_tower_rules, text_tower_rules, thirds
from ahs_seg.checkpoints.importing.convert_mask2former import masked_decoder_rules, pixel_decoder_rules
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, Rule, convert
from ahs_seg.methods import ScanConfig

_ADAPTER = r"clip_adapter\."
_WB = r"\.(weight|bias)"
_SHIFTED = "clip_adapter.clip_model."
_TUNED = "clip_model."


def convert_scan(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict with the keys of this package; raises `ConversionError` that names every unknown key.

    Of the fused query-key-value matrices of the refinement only the value part is kept: on sequences of length one,
    queries and keys have no effect.
    """
    return convert(state, scan_rules())


def scan_config(config: ScanConfig, state: Mapping[str, Tensor]) -> ScanConfig:
    """The config for the converted weights: SCAN-L has the contextual shift after two more blocks than SCAN-B.

    Other `shifts` than SCAN-B's are those of the training and stay.
    """
    blocks = sum(key.startswith("shifted.") and key.endswith("mlp.fc1.bias") for key in state)
    published = config.shifts == ScanConfig().shifts
    return config.replace(shifts=(1, 3, 5, 7, 9)) if published and blocks > 12 else config


def holds_shifted(keys: Collection[str]) -> bool:
    """Whether these are the keys of the CLIP that stage two fine-tuned, without wrappers around them."""
    return any(key.startswith(_TUNED) for key in keys)


def join_shifted(
    state: Mapping[str, Tensor], shifted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The stage-one state dict with the CLIP that stage two fine-tuned, and the unused keys with the reason.

    Raises:
        ConversionError: the second state dict does not hold that CLIP.
    """
    unused = {key: "not part of the fine-tuned CLIP" for key in shifted if not key.startswith(_TUNED)}
    tuned = {_SHIFTED + key.removeprefix(_TUNED): tensor for key, tensor in shifted.items() if key not in unused}
    begun = {key for key in state if key.startswith(_SHIFTED)}
    if odd := sorted(key for key in begun ^ tuned.keys() if not key.endswith("attn_mask")):
        raise ConversionError(
            f"{len(odd)} weights of the fine-tuned CLIP are missing or unexpected, first {odd[0]}; the second file "
            f"has them under {_TUNED!r} or 'module.{_TUNED}'"
        )
    return {**state, **tuned}, unused


def scan_rules() -> list[Rule]:
    """Rules for all keys of SCAN's checkpoints."""
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
