"""The two towers of a CLIP as modules, with the names and the initialisation of `transformers.CLIPModel`.

Importing that class takes more processor time than importing PyTorch, and of it only the names of the weights would be
used: backbones run the towers block by block. Its config class, which is light, is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.conv_stem import ConvStem
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.modules.unfilled import unfilled


def quick_gelu(values: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """OpenAI's approximation of GELU: x * sigmoid(1.702 x)."""
    return values * torch.sigmoid(1.702 * values)


def tanh_gelu(values: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The approximation of GELU by a hyperbolic tangent (Hendrycks and Gimpel, 2016)."""
    return F.gelu(values, approximate="tanh")


ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "gelu": F.gelu,
    "gelu_new": tanh_gelu,
    "gelu_pytorch_tanh": tanh_gelu,
    "quick_gelu": quick_gelu,
    "relu": F.relu,
    "silu": F.silu,
}
"""The activations of the feed-forward layers, by their name in `config.json`."""


class ClipAttention(nn.Module):
    """The projections of multi-head self-attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)


class ClipMlp(nn.Module):
    """The feed-forward layer of a block."""

    def __init__(self, width: int, inner: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"hidden_act is {activation!r}; a CLIP has one of {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, tokens: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """The output for every token."""
        result: Tensor = self.fc2(self.activation(self.fc1(tokens)))
        return result


class ClipBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.self_attn = ClipAttention(width)
        self.layer_norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = ClipMlp(width, config.intermediate_size, config.hidden_act)
        self.layer_norm2 = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(
        self, tokens: Float[Tensor, "b n c"], mask: Float[Tensor, "*#b n n"] | None = None
    ) -> Float[Tensor, "b n c"]:
        """The tokens after attention and feed-forward layer; `mask` is added to the logits of the attention."""
        own, normed = self.self_attn, self.layer_norm1(tokens)
        query, key, value = own.q_proj(normed), own.k_proj(normed), own.v_proj(normed)
        tokens = tokens + own.out_proj(multi_head_attention(query, key, value, self.heads, mask))
        result: Tensor = tokens + self.mlp(self.layer_norm2(tokens))
        return result


class ClipEncoder(nn.Module):
    """The blocks of a tower."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipBlock(config) for _ in range(config.num_hidden_layers))

    @property
    def blocks(self) -> list[ClipBlock]:
        """The blocks with their type."""
        return cast(list[ClipBlock], list(self.layers))


class ClipImageEmbeddings(nn.Module):
    """The patch convolution, or a `ConvStem` (`stem_channels` in the config), with class token and position table."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.class_embedding = nn.Parameter(torch.empty(width))
        channels = getattr(config, "stem_channels", None)
        self.patch_embedding: nn.Module = (
            nn.Conv2d(config.num_channels, width, patch, stride=patch, bias=False)
            if channels is None
            else ConvStem(channels, width, halvings=patch.bit_length() - 1)
        )
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, width)


class ClipImageTower(nn.Module):
    """The image tower; the spelling `pre_layrnorm` is that of the weights."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.embeddings = ClipImageEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = ClipEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class ClipTextEmbeddings(nn.Module):
    """The token and position tables of the text tower."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)


class ClipTextTower(nn.Module):
    """The text tower."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.embeddings = ClipTextEmbeddings(config)
        self.encoder = ClipEncoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class ClipNetwork(nn.Module):
    """Both towers of a CLIP and their projections, for a `transformers.CLIPConfig`."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        vision, text = config.vision_config, config.text_config
        self.config = config
        self.text_model = ClipTextTower(text)
        self.vision_model = ClipImageTower(vision)
        self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(text.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale_init_value)))
        self._initialise()

    @classmethod
    def empty(cls, config: Any) -> ClipNetwork:
        """A network whose weights are not initialised, on the default device."""
        if torch.get_default_device().type != "meta":
            torch.randn(config.vision_config.hidden_size)  # as `CLIPModel` draws: seeded runs keep their random numbers
        with unfilled():
            return cls(config)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Random weights with the standard deviations of OpenAI's CLIP, as `transformers` has them."""
        factor = self.config.initializer_factor
        for tower, settings in (
            (self.text_model, self.config.text_config),
            (self.vision_model, self.config.vision_config),
        ):
            width, depth = settings.hidden_size, settings.num_hidden_layers
            for block in tower.encoder.blocks:
                own, mlp = block.self_attn, block.mlp
                for layer in (own.q_proj, own.k_proj, own.v_proj, mlp.fc2):
                    nn.init.normal_(layer.weight, std=factor * (2 * width * depth) ** -0.5)
                nn.init.normal_(own.out_proj.weight, std=factor * width**-0.5)
                nn.init.normal_(mlp.fc1.weight, std=factor * (2 * width) ** -0.5)
                for layer in (own.q_proj, own.k_proj, own.v_proj, own.out_proj, mlp.fc1, mlp.fc2):
                    nn.init.zeros_(layer.bias)
        words = self.text_model.embeddings
        for table in (words.token_embedding, words.position_embedding):
            nn.init.normal_(table.weight, std=factor * 0.02)
        self._initialise_patches(factor)
        for projection in (self.visual_projection, self.text_projection):
            nn.init.normal_(projection.weight, std=factor * projection.in_features**-0.5)

    def _initialise_patches(self, factor: float) -> None:
        patches, vision = self.vision_model.embeddings, self.config.vision_config
        nn.init.normal_(patches.class_embedding, std=factor * vision.hidden_size**-0.5)
        nn.init.normal_(patches.position_embedding.weight, std=factor * vision.initializer_range)
        if isinstance(patches.patch_embedding, nn.Conv2d):
            nn.init.normal_(patches.patch_embedding.weight, std=factor * vision.initializer_range)
