"""A tiny random CLIP and a stub method; no files, no network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone, StemmedClipModel
from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.types import Output


def tiny_tokenizer(context: int = 40) -> ClipTokenizer:
    """One token per byte, so that a length in tokens is a length in characters (blanks are none) plus two."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: index for index, letter in enumerate(sorted(letters))}
    size = len(vocabulary)
    vocabulary |= {"<|startoftext|>": size, "<|endoftext|>": size + 1}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return ClipTokenizer(core, context=context, start=size, end=size + 1)


def tiny_backbone(*, seed: int = 0, context: int = 60, resolution: int = 32) -> ClipBackbone:
    """A random CLIP of width 32 with 8-pixel patches."""
    torch.manual_seed(seed)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 258, "max_position_embeddings": context, "eos_token_id": 257},
        vision_config={**tower, "image_size": resolution, "patch_size": 8},
        projection_dim=16,
    )
    model = StemmedClipModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return ClipBackbone(model, tiny_tokenizer(context), resolution=resolution)


class ColourMethod(nn.Module):
    """Logits are fixed random functions of colour, one per class, on a coarse grid; quick, and easy to recompute.

    Class k of the text tensor looks at the colours only through its embedding, so permuting classes permutes logits.
    """

    def __init__(self, *, grid: int = 12, keep: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.backbone = tiny_backbone(seed=seed)
        generator = torch.Generator().manual_seed(seed)
        self.mix = nn.Parameter(torch.randn(16, 9, generator=generator))
        self.grid = grid
        self.keep = keep
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor, text: Tensor) -> Output:
        self.seen.append(tuple(images.shape))
        small = F.interpolate(images, size=(self.grid, self.grid), mode="bilinear")
        colours = torch.cat([small, small.square(), (6 * small).sin()], 1)
        logits = torch.einsum("td,dc,bchw->bthw", text.mean(1), self.mix, colours) * 3
        kept = None
        if self.keep is not None and len(text) > self.keep:
            best = logits.flatten(2).amax(-1).topk(self.keep, dim=1).indices
            kept = best[:, torch.randperm(self.keep, generator=torch.Generator().manual_seed(1))]
            logits = torch.stack([one[rows] for one, rows in zip(logits, kept, strict=True)])
        features = self.backbone.encode_image(F.interpolate(images, size=(32, 32)))
        return Output(logits, features, text, kept)

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def merged(self) -> ColourMethod:
        return self
