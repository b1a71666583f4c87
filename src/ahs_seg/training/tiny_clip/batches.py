"""Pre-training batches as tensors, drawn by worker processes during training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.data.world.captions import sentence
from ahs_seg.data.world.mosaics import Mix, caption_batch


class PretrainBatch(NamedTuple):
    """A `CaptionBatch` as tensors, with each phrase put into a sentence and tokenised."""

    images: UInt8[Tensor, "b 3 H W"]
    part: Int[Tensor, "b n"]
    said: Int[Tensor, "parts most"]
    compatible: Bool[Tensor, "phrases phrases"]
    words: Int[Tensor, "phrases kinds"]
    ids: Int[Tensor, "phrases l"]
    ends: Int[Tensor, " phrases"]

    @property
    def tokens(self) -> Tokens:
        """Tokens of the phrases, the input of the text tower."""
        return Tokens(self.ids, self.ends)

    @property
    def told(self) -> Int[Tensor, "parts kinds"]:
        """Caption word of each image part, one per kind of word; -1 for parts that show more than one object."""
        said = self.words[self.said.clamp_min(0)].where(self.said[..., None] >= 0, torch.tensor(-1))
        alone = (self.said >= 0).sum(1) <= 2
        return said.amax(1).where(alone[:, None], torch.tensor(-1))


class _Steps(Dataset[PretrainBatch]):
    def __init__(self, seed: int, mixes: Callable[[int], Mix], steps: int, tokenizer: TextTokenizer) -> None:
        self.seed, self.mixes, self.steps, self.tokenizer = seed, mixes, steps, tokenizer

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> PretrainBatch:
        batch = caption_batch(self.seed, step, self.mixes(step))
        rng = np.random.default_rng((self.seed, step, 1))
        tokens = self.tokenizer([sentence(phrase.text, rng) for phrase in batch.phrases])
        return PretrainBatch(
            torch.from_numpy(batch.images),
            torch.from_numpy(batch.part).flatten(1),
            torch.from_numpy(batch.said),
            torch.from_numpy(batch.compatible),
            torch.from_numpy(batch.words),
            tokens.ids,
            tokens.ends,
        )


def batches(
    seed: int, mixes: Callable[[int], Mix], start: int, steps: int, tokenizer: TextTokenizer, *, workers: int
) -> Iterator[PretrainBatch]:
    """Iterate over the batches of steps `start` to `steps`; each depends only on seed, mix and step."""
    loader = DataLoader(
        _Steps(seed, mixes, steps, tokenizer),
        batch_size=None,
        sampler=range(start, steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
