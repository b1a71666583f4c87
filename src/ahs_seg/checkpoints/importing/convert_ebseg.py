"""Conversion of the keys of EBSeg's official checkpoints to those of this package."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_clip import text_tower_rules, thirds, transposed
from ahs_seg.checkpoints.importing.convert_mask2former import masked_decoder_rules, pixel_decoder_rules
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, Rule, convert
from ahs_seg.config import MAX_LAYERS
from ahs_seg.methods import EBSegConfig

_WB = r"\.(weight|bias)"
_FRONT, _HEAD = r"clip_visual_extractor\.", r"clip_rec_head\."
_PREDICTOR = r"sem_seg_head\.predictor\."
_VISION = "backbone.model.vision_model."


def convert_ebseg(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict with the keys of this package.

    Raises:
        ConversionError: there are more blocks than a config may have, or keys are unknown, each of which is named.
    """
    blocks = {match[1] for key in state if (match := re.match(_FRONT + r"resblocks\.(\d+)\.", key))}
    last = {match[1] for key in state if (match := re.match(_HEAD + r"resblocks\.(\d+)\.", key))}
    if len(blocks) + len(last) > MAX_LAYERS:
        raise ConversionError(f"it has {len(blocks) + len(last):,} blocks of CLIP; allowed are {MAX_LAYERS:,}")
    return convert(state, ebseg_rules(front=len(blocks), head=len(last)))


def ebseg_config(config: EBSegConfig, state: Mapping[str, Tensor]) -> EBSegConfig:
    """The config for the converted weights: that of EBSeg-L for a CLIP of 24 blocks, otherwise `config`."""
    blocks = sum(key.startswith(_VISION) and key.endswith("mlp.fc1.bias") for key in state)
    if blocks <= config.recognition_blocks * 4:
        return config
    large = config.backbone.replace(source="openai/clip-vit-large-patch14-336", resolution=448)
    published = {"backbone": large, "clip_scale": 0.7, "recognition_blocks": 6}
    return config.replace(**published, alpha=0.12, beta=0.4, gamma=0.6)


def ebseg_rules(*, front: int, head: int) -> list[Rule]:
    """Rules for all keys; the first `front` and the last `head` blocks of CLIP have separate prefixes."""
    return [
        Rule(_FRONT + r"(ln_post.*|proj)", ignored="a copy of weights of clip_rec_head"),
        Rule(_FRONT + r"conv1\.weight", _VISION + "embeddings.patch_embedding.weight"),
        Rule(_FRONT + "class_embedding", _VISION + "embeddings.class_embedding"),
        Rule(_FRONT + "positional_embedding", _VISION + "embeddings.position_embedding.weight"),
        Rule(_FRONT + "ln_pre" + _WB, _VISION + r"pre_layrnorm.\1"),
        Rule(_HEAD + "ln_post" + _WB, _VISION + r"post_layernorm.\1"),
        Rule(_HEAD + "proj", "backbone.model.visual_projection.weight", change=transposed),
        *(rule for index in range(front) for rule in _block_rules(_FRONT, index, index)),
        *(rule for index in range(head) for rule in _block_rules(_HEAD, index, front + index)),
        Rule(r"ov_classifier\.attn_mask", ignored="a constant, the text tower is causal"),
        Rule(r"ov_classifier\.bg_embed", "void"),
        *text_tower_rules(r"ov_classifier\.", "backbone.model."),
        *_sam_rules(),
        *pixel_decoder_rules(r"sem_seg_head\.pixel_decoder\.", "pixel_decoder."),
        *masked_decoder_rules(_PREDICTOR, "decoder."),
        *_balance_rules(),
        Rule(r"criterion\.empty_weight", ignored="a constant of the loss"),
    ]


def _block_rules(origin: str, index: int, number: int) -> list[Rule]:
    """Rules for one block of CLIP's image tower; its fused attention weights have one of two names."""
    block, layer = rf"{origin}resblocks\.{index}\.", f"{_VISION}encoder.layers.{number}."
    return [
        Rule(block + r"attn\.(?:in_proj_|qkv\.)(?:weight|bias)", layer + "self_attn.", change=thirds),
        Rule(block + r"attn\.(?:out_)?proj" + _WB, layer + r"self_attn.out_proj.\1"),
        Rule(block + r"ln_([12])" + _WB, layer + r"layer_norm\1.\2"),
        Rule(block + r"mlp\.c_fc" + _WB, layer + r"mlp.fc1.\1"),
        Rule(block + r"mlp\.c_proj" + _WB, layer + r"mlp.fc2.\1"),
    ]


def _sam_rules() -> list[Rule]:
    block, layer = r"backbone\.blocks\.(\d+)\.", r"pixels.encoder.layers.\1."
    return [
        Rule(r"backbone\.pos_embed", "pixels.encoder.pos_embed"),
        Rule(r"backbone\.patch_embed\.proj" + _WB, r"pixels.encoder.patch_embed.projection.\1"),
        Rule(block + r"norm([12])" + _WB, layer + r"layer_norm\2.\3"),
        Rule(block + r"attn\.(rel_pos_[hw]|(?:qkv|proj)\.(?:weight|bias))", layer + r"attn.\2"),
        Rule(block + r"mlp\.(lin[12])" + _WB, layer + r"mlp.\2.\3"),
    ]


def _balance_rules() -> list[Rule]:
    perceptrons = {"mask_embed1": "supervised.embed", "attn_proj": "bias.embed"}
    return [
        Rule(_PREDICTOR + r"pool_proj\.([01])" + _WB, r"supervised.pool.\1.\2"),
        Rule(_PREDICTOR + "logit_scale", "supervised.scale", change=_vector),
        Rule(_PREDICTOR + r"bias_scaling\.weight", "bias.weight", change=_vector),
        Rule(_PREDICTOR + r"bias_scaling\.bias", "bias.shift", change=_vector),
        *(
            Rule(rf"{_PREDICTOR}{theirs}\.layers\.{index}{_WB}", rf"{ours}.{2 * index}.\1")
            for theirs, ours in perceptrons.items()
            for index in range(3)
        ),
        Rule(r"sem_seg_head\.clip_fusion_layers\.(\d)\.([01])" + _WB, r"fusion.\1.\2.\3"),
    ]


def _vector(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.reshape(1)}
