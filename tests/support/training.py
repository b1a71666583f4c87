"""A random CLIP of two small layers, a method with one layer on top of it, and a data set computed from the index."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ahs_seg.data.base import Sample
from ahs_seg.training.recipe import OptimizerConfig, Recipe
from ahs_seg.types import IGNORE, ClassText, Output, TrainingForward
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone

SIDE = 16
COLOURS = Vocabulary.parse(["red", "green", "blue, azure", "grey", "black", "white"])


class TinyMethod(nn.Module):
    """Scaled cosine of normed dense features and text, with dropout and a buffer that counts forwards in training."""

    forwards: Tensor

    def __init__(self, *, dropout: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        self.backbone = random_backbone(depth=2, width=16, dim=16, patch=4, resolution=SIDE, context=60, seed=seed)
        self.norm = nn.LayerNorm(self.backbone.dim)
        self.drop = nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.tensor([3.0]))
        self.offset = nn.Parameter(torch.tensor([-1.0]))
        self.register_buffer("forwards", torch.zeros((), dtype=torch.int64))
        for name, value in self.backbone.named_parameters():
            value.requires_grad_("q_proj.weight" in name or "v_proj.weight" in name)
        last = self.backbone.model.vision_model.encoder.layers[-1]
        last.self_attn.q_proj.weight.requires_grad_(requires_grad=False)  # has no part in dense features

    def forward(self, images: Tensor, text: Tensor) -> Output:
        if self.training:
            self.forwards += 1
        features = self.backbone.encode_image(images)
        dense = self.drop(self.norm(features.dense.movedim(1, -1)))
        cosine = torch.einsum("bhwd,tpd->bthw", nn.functional.normalize(dense, dim=-1), text)
        return Output(cosine * self.scale + self.offset, features, ClassText(text, text), features.dense)


class NoisyObjective(nn.Module):
    """BCE and a term that draws from the process-wide generators.

    From that of python only if asked to: the checks of shapes (beartype) in these tests draw from it, too.
    """

    def __init__(self, *, python: bool = False) -> None:
        super().__init__()
        self.python = python

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        output, labels = view.output, view.labels
        logits = nn.functional.interpolate(output.logits, size=labels.shape[1:], mode="nearest")
        target = (
            nn.functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1) * (labels != IGNORE)[:, None]
        )
        bce = nn.functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
        noise = np.random.rand() + float(torch.rand(())) + (random.random() if self.python else 0)
        return {"bce": bce, "noise": 1e-3 * noise * logits.square().mean()}


@dataclass
class TinyDataset:
    """Two-coloured pictures; colours mean classes, and some pixels are ignored."""

    length: int = 10
    vocabulary: Vocabulary = COLOURS

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        draw = np.random.default_rng(index)
        classes = draw.choice(4, 2, replace=False)
        labels = np.full((SIDE, SIDE), classes[0], dtype=np.int32)
        labels[:, draw.integers(4, 12) :] = classes[1]
        image = np.stack([np.where(labels == colour, 220, 30) for colour in range(3)], -1)
        image = image + draw.integers(0, 20, image.shape)
        labels[:2] = IGNORE
        return Sample(image.astype(np.uint8), labels, f"picture {index}")


def flip(sample: Sample, generator: np.random.Generator) -> Sample:
    """An augmentation: a horizontal flip, and noise."""
    step = -1 if generator.random() < 0.5 else 1
    noise = generator.integers(0, 10, sample.image.shape, dtype=np.uint8)
    image = np.ascontiguousarray(sample.image[:, ::step]) + noise
    return Sample(image, np.ascontiguousarray(sample.labels[:, ::step]), sample.name)


def tiny_recipe(**changes: Any) -> Recipe:
    values = {
        "steps": 8,
        "batch_size": 4,
        "optimizer": OptimizerConfig(lr=1e-3, clip_multiplier=0.1, clip_norm=1.0),
        "workers": 0,
        "accelerator": "cpu",
        "log_every": 1,
        "checkpoint_every": 3,
        "evaluate_every": 0,
    }
    return Recipe.model_validate(values | changes)
