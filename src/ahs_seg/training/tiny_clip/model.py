"""Architecture and initialisation of the tiny CLIP, its tokenizer, and saving it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones import clip_config
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.conv_stem import ConvStem
from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.config import Config
from ahs_seg.io.atomic import write_bytes

MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.25, 0.25, 0.25)
STEM = "vision_model.embeddings.patch_embedding."
_START, _END = "<|startoftext|>", "<|endoftext|>"


class TinyClipConfig(Config):
    """Sizes of a small CLIP: a convolutional stem (`stem`: channels of each convolution), then a transformer.

    The receptive field of the stem is about 47 pixels, the size of an object: shapes are learnt much sooner than with
    three convolutions (15 pixels).
    """

    stem: tuple[PositiveInt, ...] = (32, 64, 128, 128, 128)
    patch: PositiveInt = 8
    width: PositiveInt = 128
    depth: PositiveInt = 4
    text_depth: PositiveInt = 2
    heads: PositiveInt = 4
    dim: PositiveInt = 128
    tokens: PositiveInt = 640
    context: PositiveInt = 28
    resolution: PositiveInt = 96

    def build(self, captions: Sequence[str], seed: int) -> ClipBackbone:
        """Backbone with random weights and a tokenizer trained on the captions; its stem has batch norm."""
        torch.manual_seed(seed)
        model = ClipNetwork(self._clip_config())
        halvings = self.patch.bit_length() - 1
        stem = ConvStem(self.stem, self.width, halvings=halvings, norm=True)
        model.vision_model.embeddings.patch_embedding = stem
        _prepare(model)
        tokenizer = train_tokenizer(captions, self.tokens, self.context)
        return ClipBackbone(model, tokenizer, resolution=self.resolution, mean=MEAN, std=STD)

    def _clip_config(self) -> CLIPConfig:
        common = {
            "hidden_size": self.width,
            "intermediate_size": 4 * self.width,
            "num_attention_heads": self.heads,
            "projection_dim": self.dim,
            "hidden_act": "gelu",
        }
        text = {
            "vocab_size": self.tokens,
            "num_hidden_layers": self.text_depth,
            "max_position_embeddings": self.context,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 0,
        }
        vision = {
            "num_hidden_layers": self.depth,
            "image_size": self.resolution,
            "patch_size": self.patch,
            "stem_channels": list(self.stem),
        }
        return CLIPConfig(text_config={**common, **text}, vision_config={**common, **vision}, projection_dim=self.dim)


@torch.no_grad()
def _prepare(model: ClipNetwork) -> None:
    """Initialise for fast learning: sinusoidal position embeddings, attention to near and similar patches.

    Query and key weights start nearly equal (Trockman and Kolter, "Mimetic initialization of self-attention layers",
    ICML 2023). The value path of the last block, which gives the dense features, starts near the identity.
    """
    tower = model.vision_model
    table = tower.embeddings.position_embedding.weight
    table[0] = 0
    table[1:] = 0.5 * _waves(round((len(table) - 1) ** 0.5), table.shape[1])
    for block in tower.encoder.blocks:
        query, key = block.self_attn.q_proj.weight, block.self_attn.k_proj.weight
        query.mul_(1.5)
        key.copy_(query + 0.1 * query.std() * torch.randn_like(query))
    last = tower.encoder.blocks[-1].self_attn
    for weight in (last.v_proj.weight, last.out_proj.weight):
        weight.add_(torch.eye(len(weight)))
    model.logit_scale.fill_(math.log(10))


def _waves(side: int, width: int) -> Float[Tensor, "n width"]:
    """Sinusoidal position embeddings: sine and cosine of row and column at `width / 4` frequencies."""
    frequency = torch.linspace(math.log(0.15), math.log(2.0), width // 4).exp()
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [place.flatten()[:, None] * frequency for place in (rows, columns)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], 1)


def train_tokenizer(captions: Sequence[str], tokens: int, context: int) -> ClipTokenizer:
    """Byte-level BPE tokenizer with at most `tokens` tokens; unknown words are split into subword tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=tokens,
        special_tokens=[_START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return ClipTokenizer(tokenizer, context=context, start=0, end=1)  # special tokens come first


@torch.no_grad()
def save_clip(backbone: ClipBackbone, directory: Path) -> None:
    """Save the backbone for `ClipConfig(source=directory)`, with batch norm folded; other files there are kept."""
    assert isinstance(backbone.stem, ConvStem)
    stem = {f"{STEM}{name}": value for name, value in backbone.stem.folded().state_dict().items()}
    rest = {name: value for name, value in backbone.network_state().items() if not name.startswith(STEM)}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "clip"
        clip_config.save_clip({**rest, **stem}, backbone, draft)
        for path in draft.iterdir():
            write_bytes(directory / path.name, path.read_bytes())
