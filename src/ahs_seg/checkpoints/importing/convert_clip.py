"""Conversion of OpenAI's CLIP keys to those of `transformers`, and CLIP sizes from the shapes of the weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.checkpoints.importing.key_rules import ConversionError, Rule

_HEAD_WIDTH = 64
_SIZE_KEYS = (
    "vision_model.embeddings.patch_embedding.weight",
    "vision_model.embeddings.position_embedding.weight",
    "vision_model.encoder.layers.0.mlp.fc1.bias",
    "text_model.embeddings.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight",
    "text_model.encoder.layers.0.mlp.fc1.bias",
    "visual_projection.weight",
)


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


def clip_config(state: Mapping[str, Tensor], *, activation: str = "quick_gelu") -> CLIPConfig:
    """The config of a CLIP from the shapes of its weights (keys as in `transformers`); attention heads have width 64.

    The activation cannot be inferred from the weights: it is "quick_gelu" for OpenAI's models, "gelu" for most others.

    Raises:
        ConversionError: weights are missing from which the sizes are inferred; the message names them.
    """
    if missing := [key for key in _SIZE_KEYS if key not in state]:
        raise ConversionError(f"{len(missing)} missing: {', '.join(missing)}; the sizes of CLIP are inferred from them")
    patch = state["vision_model.embeddings.patch_embedding.weight"]
    tokens = state["text_model.embeddings.token_embedding.weight"]
    side = round((len(state["vision_model.embeddings.position_embedding.weight"]) - 1) ** 0.5)
    projection = state["visual_projection.weight"].shape[0]
    return CLIPConfig(
        vision_config={
            **_tower_sizes(state, "vision_model", patch.shape[0]),
            "hidden_act": activation,
            "patch_size": patch.shape[-1],
            "image_size": side * patch.shape[-1],
        },
        text_config={
            **_tower_sizes(state, "text_model", tokens.shape[1]),
            "hidden_act": activation,
            "vocab_size": tokens.shape[0],
            "bos_token_id": tokens.shape[0] - 2,
            "eos_token_id": tokens.shape[0] - 1,
            "max_position_embeddings": len(state["text_model.embeddings.position_embedding.weight"]),
        },
        projection_dim=projection,
    )


def _tower_sizes(state: Mapping[str, Tensor], tower: str, width: int) -> dict[str, int]:
    layers = f"{tower}.encoder.layers."
    return {
        "hidden_size": width,
        "intermediate_size": len(state[f"{layers}0.mlp.fc1.bias"]),
        "num_hidden_layers": len({key.removeprefix(layers).split(".")[0] for key in state if key.startswith(layers)}),
        "num_attention_heads": max(1, width // _HEAD_WIDTH),
    }


def transposed(tensor: Tensor) -> dict[str, Tensor]:
    """The transposed matrix, as `nn.Linear` stores it."""
    return {"": tensor.T.contiguous()}


def thirds(tensor: Tensor) -> dict[str, Tensor]:
    """A fused query-key-value projection split into three, by the suffix of their keys."""
    kind = "weight" if tensor.ndim == 2 else "bias"
    return {f"{name}_proj.{kind}": part.clone() for name, part in zip("qkv", tensor.chunk(3), strict=True)}
