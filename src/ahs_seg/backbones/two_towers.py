"""What all image-text networks of `transformers` have in common as backbones; they differ in how a tower ends."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionParts, AttentionWeights, Backbone, BackboneError, Tower
from ahs_seg.backbones.blocks import Block, pre_norm_attention, pre_norm_block, recomputed
from ahs_seg.backbones.text_towers import TextTower
from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.io.atomic import write_text

_NOT_OF_THE_TOWER: Final = frozenset(
    [
        "architectures",
        "output_hidden_states",
        "output_attentions",
        "return_dict",
        "dtype",
        "chunk_size_feed_forward",
        "is_encoder_decoder",
        "id2label",
        "label2id",
        "problem_type",
        "_name_or_path",
        "transformers_version",
    ]
)
"""Settings of any config of `transformers`, which have no effect on a text tower."""


class TwoTowerBackbone(Backbone):
    """Base class of backbones on a network of `transformers` with `vision_model` and `text_model`.

    `resolution` is the side, in pixels, to which methods resize images; any multiple of the patch size works, because
    the position embeddings are resized. `text_tower` says how the text tower reads.
    """

    text_tower: ClassVar[type[TextTower]]
    image_parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    """Beginnings of the names of the parameters of the image tower."""

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        *,
        resolution: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.resolution = resolution
        self.adapter: nn.Module | None = None
        self.checkpointing = False
        self.mean = tuple(mean)
        self.std = tuple(std)
        vision, text = model.config.vision_config, model.config.text_config
        self.dim: int = self.joint_width(model.config)
        self.width: int = vision.hidden_size
        self.text_width: int = text.hidden_size
        self.patch_size: int = vision.patch_size
        self.depth: int = vision.num_hidden_layers
        self.text_depth: int = text.num_hidden_layers
        self.grid = resolution // self.patch_size
        self.heads: int = vision.num_attention_heads
        if resolution % self.patch_size:
            raise BackboneError(
                f"resolution {resolution} is not a multiple of the patch size {self.patch_size}; "
                f"use {self.grid * self.patch_size} or {(self.grid + 1) * self.patch_size}"
            )

    @classmethod
    def joint_width(cls, config: Any) -> int:
        """The dimension of the joint space of a network with this config."""
        width: int = config.projection_dim
        return width

    @classmethod
    def native_resolution(cls, config: Any) -> int:
        """The side, in pixels, that the position table of a network with this config belongs to."""
        vision = config.vision_config
        side: int = vision.image_size // vision.patch_size * vision.patch_size
        return side

    @property
    def text(self) -> TextTower:
        """The text tower with its pre-trained attention."""
        return self.text_tower(self.model)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.logit_scale.device
        return device

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """The scale of cosine similarities used in pre-training (the inverse of the temperature)."""
        scale: Tensor = self.model.logit_scale.exp()
        return scale.reshape(())

    @property
    def stem(self) -> nn.Module:
        """The patch embedding layer of the image tower."""
        stem: nn.Module = self.model.vision_model.embeddings.patch_embedding
        return stem

    @property
    def position_table(self) -> nn.Parameter:
        """The position embeddings of the image tower; the first one belongs to the class token if there is one."""
        table: nn.Parameter = self.model.vision_model.embeddings.position_embedding.weight
        return table

    def blocks(self, tower: Tower) -> nn.ModuleList:
        """The transformer blocks of a tower."""
        layers: nn.ModuleList = self.model.vision_model.encoder.layers
        return layers if tower == "vision" else self.text.blocks()

    def attention(self, tower: Tower) -> list[AttentionParts]:
        """The pre-trained attention layers of a tower, one entry per block."""
        if tower == "text":
            return self.text.attention()
        return [pre_norm_attention(block) for block in self.blocks("vision")]

    def image_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the image tower, with their names in `model`."""
        return {name: value for name, value in self.model.named_parameters() if name.startswith(self.image_parts)}

    def text_state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of the text tower and of the text projection."""
        return self.text.state()

    def text_settings(self) -> dict[str, Any]:
        """The configuration of the text tower, and how it is read."""
        settings: dict[str, Any] = self.model.config.text_config.to_dict()
        settings = {name: value for name, value in settings.items() if name not in _NOT_OF_THE_TOWER}
        return {**settings, "kind": self.kind, "reading": self.text_tower.reading}

    def save_description(self, directory: Path) -> None:
        """Write configuration, tokenizer and image statistics, without weights, in the format of `transformers`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.model.config.save_pretrained(directory)
        self.tokenizer.save(directory)
        statistics = {"image_mean": list(self.mean), "image_std": list(self.std)}
        write_text(directory / "preprocessor_config.json", json.dumps(statistics, indent=2))

    def without_adapter(self) -> TwoTowerBackbone:
        """The same backbone without its adapter; all weights are shared, not copied."""
        return type(self)(self.model, self.tokenizer, resolution=self.resolution, mean=self.mean, std=self.std)

    def encode_text(self, tokens: Tokens) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised) of n prompts, which the backbone's own tokenizer has read."""
        return self.text.encode(tokens, self.attention_weights("text"), checkpointing=self.checkpointing)

    @abstractmethod
    def embed_image(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b n c"], tuple[int, int]]:
        """Input tokens of the first block for normalised images, and the size of the patch grid."""

    def _embed_image(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        height, width = images.shape[-2:]
        patch = self.patch_size
        if height % patch or width % patch:
            up = (-(-height // patch) * patch, -(-width // patch) * patch)
            raise BackboneError(
                f"image is {width}x{height} pixels; both sides must be multiples of {patch}. "
                f"Pad it to {up[1]}x{up[0]} or let Segmenter resize."
            )
        return self.embed_image(self.normalise(images))

    def _check_levels(self, levels: Sequence[int]) -> None:
        wrong = [level for level in levels if not 0 <= level < self.depth]
        if wrong:
            raise BackboneError(
                f"level {wrong[0]} does not exist; this backbone has {self.depth} blocks, "
                f"so levels are 0 to {self.depth - 1}"
            )

    def _block(self, block: Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        return recomputed(pre_norm_block, block, weights, tokens, self.heads, active=self.checkpointing)


def to_map(tokens: Float[Tensor, "b n c"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """Patch tokens, without a class token, as a map of this grid."""
    return tokens.transpose(1, 2).unflatten(-1, grid)
