"""Conversion of OpenAI's CLIP keys to those of `transformers`, and CLIP sizes from the shapes of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_files import TOWERS, checked_config
from ahs_seg.checkpoints.importing.clip_origins import NOT_GIVEN, ClipOrigin, ClipSettings, ClipShape
from ahs_seg.checkpoints.importing.key_rules import ConversionError, Rule

_SIZE_KEYS: Final = {
    "vision_model.embeddings.patch_embedding.weight": 4,
    "vision_model.embeddings.position_embedding.weight": 2,
    "vision_model.encoder.layers.0.mlp.fc1.bias": 1,
    "text_model.embeddings.token_embedding.weight": 2,
    "text_model.embeddings.position_embedding.weight": 2,
    "text_model.encoder.layers.0.mlp.fc1.bias": 1,
    "visual_projection.weight": 2,
}
"""Weights from which the sizes are inferred, and their number of axes."""


def clip_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map CLIP keys from prefix `origin` (regex) to prefix `target`; query, key and value may be fused."""
    return [
        *image_tower_rules(origin + r"visual\.", target),
        *text_tower_rules(origin, target),
        Rule(origin + r"(input_resolution|context_length|vocab_size)", ignored="a size, inferred from the shapes"),
        Rule(origin + r".*attn_mask", ignored="a constant, the text tower is causal"),
    ]


def image_tower_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of CLIP's image tower from prefix `origin` (regex) to prefix `target`."""
    return [
        Rule(origin + r"conv1\.weight", target + "vision_model.embeddings.patch_embedding.weight"),
        Rule(origin + r"class_embedding", target + "vision_model.embeddings.class_embedding"),
        Rule(origin + r"positional_embedding", target + "vision_model.embeddings.position_embedding.weight"),
        Rule(origin + r"ln_pre\.(weight|bias)", target + r"vision_model.pre_layrnorm.\1"),
        Rule(origin + r"ln_post\.(weight|bias)", target + r"vision_model.post_layernorm.\1"),
        Rule(origin + r"proj", target + "visual_projection.weight", change=transposed),
        *_block_rules(origin, target + "vision_model.encoder"),
    ]


def text_tower_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of CLIP's text tower and temperature from prefix `origin` (regex) to prefix `target`."""
    return [
        Rule(origin + r"token_embedding\.weight", target + "text_model.embeddings.token_embedding.weight"),
        Rule(origin + r"positional_embedding", target + "text_model.embeddings.position_embedding.weight"),
        Rule(origin + r"ln_final\.(weight|bias)", target + r"text_model.final_layer_norm.\1"),
        Rule(origin + r"text_projection", target + "text_projection.weight", change=transposed),
        Rule(origin + r"logit_scale", target + "logit_scale"),
        *_block_rules(origin, target + "text_model.encoder"),
    ]


def _block_rules(origin: str, encoder: str) -> list[Rule]:
    block = origin + r"transformer\.resblocks\.(\d+)\."
    layer = encoder + r".layers.\1."
    attention = layer + "self_attn."
    return [
        Rule(block + r"attn\.([qkv])_proj_weight", attention + r"\2_proj.weight"),
        Rule(block + r"attn\.in_proj_(weight|bias)", attention, change=thirds),
        Rule(block + r"attn\.out_proj\.(weight|bias)", attention + r"out_proj.\2"),
        Rule(block + r"ln_([12])\.(weight|bias)", layer + r"layer_norm\2.\3"),
        Rule(block + r"mlp\.c_fc\.(weight|bias)", layer + r"mlp.fc1.\2"),
        Rule(block + r"mlp\.c_proj\.(weight|bias)", layer + r"mlp.fc2.\2"),
    ]


def clip_config(state: Mapping[str, Tensor], origin: ClipOrigin, given: ClipSettings = NOT_GIVEN) -> CLIPConfig:
    """The config of a CLIP from the shapes of its weights (keys as in `transformers`), its origin and given settings.

    Raises:
        ConversionError: weights are missing from which the sizes are inferred, sizes are beyond the limits of a config,
            or heads or activation are not known (see `ClipOrigin.settings`).
    """
    _check_size_keys(state)
    (vision, places), (text, context) = (_tower_sizes(state, tower) for tower in TOWERS)
    patch = state["vision_model.embeddings.patch_embedding.weight"].shape[-1]
    words = len(state["text_model.embeddings.token_embedding.weight"])
    side = round((places - 1) ** 0.5)
    shape = ClipShape(
        width=vision["hidden_size"],
        layers=vision["num_hidden_layers"],
        patch=patch,
        text_width=text["hidden_size"],
        text_layers=text["num_hidden_layers"],
    )
    found = origin.settings(shape, given)
    values: dict[str, dict[str, Any]] = {
        "vision_config": vision | {"patch_size": patch, "image_size": side * patch, "num_attention_heads": found.heads},
        "text_config": text
        | {"max_position_embeddings": context, "num_attention_heads": found.text_heads}
        | {"vocab_size": words, "bos_token_id": words - 2, "eos_token_id": words - 1},
    }
    for tower in values.values():
        tower["hidden_act"] = found.activation
    projection = len(state["visual_projection.weight"])
    try:
        return checked_config({**values, "projection_dim": projection}, source="the sizes of CLIP")
    except BackboneError as error:
        raise ConversionError(str(error)) from None


def _check_size_keys(state: Mapping[str, Tensor]) -> None:
    if missing := [key for key in _SIZE_KEYS if key not in state]:
        raise ConversionError(f"{len(missing)} missing: {', '.join(missing)}; the sizes of CLIP are inferred from them")
    shapes = {key: tuple(state[key].shape) for key in _SIZE_KEYS}
    odd = [key for key, shape in shapes.items() if len(shape) != _SIZE_KEYS[key] or not min(shape)]
    if odd:
        raise ConversionError(f"no CLIP has such sizes: {', '.join(f'{key} is {shapes[key]}' for key in odd)}")


def _tower_sizes(state: Mapping[str, Tensor], tower: str) -> tuple[dict[str, int], int]:
    """The sizes of a tower by their names in its config, and its number of positions."""
    layers = f"{tower}.encoder.layers."
    positions, width = state[f"{tower}.embeddings.position_embedding.weight"].shape
    sizes = {
        "hidden_size": width,
        "intermediate_size": len(state[f"{layers}0.mlp.fc1.bias"]),
        "num_hidden_layers": len({key.removeprefix(layers).split(".")[0] for key in state if key.startswith(layers)}),
    }
    return sizes, positions


def transposed(tensor: Tensor) -> dict[str, Tensor]:
    """The transposed matrix, as `nn.Linear` stores it."""
    return {"": tensor.T.contiguous()}


def thirds(tensor: Tensor) -> dict[str, Tensor]:
    """A fused query-key-value projection split into three, by the suffix of their keys."""
    kind = "weight" if tensor.ndim == 2 else "bias"
    return {f"{name}_proj.{kind}": part.clone() for name, part in zip("qkv", tensor.chunk(3), strict=True)}
