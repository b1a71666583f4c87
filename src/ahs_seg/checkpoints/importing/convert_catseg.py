"""Conversion of the keys of CAT-Seg's official checkpoints to those of this package."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_clip import clip_rules
from ahs_seg.checkpoints.importing.key_rules import Conversion, Rule, convert

PREDICTOR = r"sem_seg_head\.predictor\."
CLIP = PREDICTOR + r"clip_model\."
_AGGREGATOR = PREDICTOR + r"transformer\."
_WB = r"\.(weight|bias)"


def convert_catseg(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict with the keys of this package; raises `ConversionError` that names every unknown key."""
    return convert(state, [*clip_rules(CLIP, "backbone.model."), *head_rules()])


def head_rules() -> list[Rule]:
    """Rules for all keys outside CLIP; shared by H-CLIP and the methods derived from it."""
    return [
        Rule(r"upsample1" + _WB, r"pyramid.upsample_fine.\1"),
        Rule(r"upsample2" + _WB, r"pyramid.upsample_finest.\1"),
        Rule(_AGGREGATOR + r"guidance_projection\.0" + _WB, r"pyramid.appearance.0.\1"),
        Rule(_AGGREGATOR + r"decoder_guidance_projection\.0\.0" + _WB, r"pyramid.fine.0.\1"),
        Rule(_AGGREGATOR + r"decoder_guidance_projection\.1\.0" + _WB, r"pyramid.finest.0.\1"),
        Rule(_AGGREGATOR + r"text_guidance_projection\.0" + _WB, r"head.text_guidance.0.\1"),
        Rule(_AGGREGATOR + r"conv1" + _WB, r"head.embed.\1"),
        Rule(_AGGREGATOR + r"head" + _WB, r"head.decoder.logit.\1"),
        *_spatial_rules(),
        *_classwise_rules(),
        *_decoder_rules(),
    ]


def _spatial_rules() -> list[Rule]:
    origin, target = _AGGREGATOR + r"layers\.(\d+)\.swin_block\.", r"head.layers.\1.spatial."
    rules = [
        Rule(origin + r"guidance_norm" + _WB, target + r"guidance_norm.\2"),
        Rule(origin + r"block_2\.attn_mask", ignored="a constant, computed from the grid"),
    ]
    parts = {"attn.q": "query", "attn.k": "key", "attn.v": "value", "attn.proj": "output"}
    parts |= {"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.0", "mlp.fc2": "mlp.2"}
    for block, name in {"block_1": "plain", "block_2": "shifted"}.items():
        for old, new in parts.items():
            rules.append(Rule(rf"{origin}{block}\.{old}{_WB}", rf"{target}{name}.{new}.\2"))
    return rules


def _classwise_rules() -> list[Rule]:
    origin, target = _AGGREGATOR + r"layers\.(\d+)\.attention\.", r"head.layers.\1.classwise."
    parts = {"attention.q": "query", "attention.k": "key", "attention.v": "value"}
    parts |= {"norm1": "norm1", "norm2": "norm2", "MLP.0": "mlp.0", "MLP.2": "mlp.2"}
    return [
        Rule(origin + r"padding_tokens", target + "padding_token", change=_flat),
        Rule(origin + r"padding_guidance", target + "padding_guidance", change=_flat),
        *(Rule(rf"{origin}{old}{_WB}", rf"{target}{new}.\2") for old, new in parts.items()),
    ]


def _decoder_rules() -> list[Rule]:
    origin, target = _AGGREGATOR + r"decoder([12])\.", r"head.decoder.up\1."
    parts = {"up": "up", **{f"conv.double_conv.{old}": new for old, new in _DOUBLE_CONV.items()}}
    return [Rule(rf"{origin}{old}{_WB}", rf"{target}{new}.\2") for old, new in parts.items()]


_DOUBLE_CONV = {0: "conv1", 1: "norm1", 3: "conv2", 4: "norm2"}


def _flat(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.flatten()}
