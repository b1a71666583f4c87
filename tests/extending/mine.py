"""A method, a tuner, a dataset and an output format that are not part of AHS-Seg."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

import ahs_seg


class LastBlock(ahs_seg.TunerConfig):
    """Train only the last block of CLIP's image tower."""

    name: Literal["last_block"] = "last_block"

    def apply(self, backbone):
        backbone.requires_grad_(False)
        backbone.blocks("vision")[-1].requires_grad_(True)
        for parameter in backbone.unused_in_dense():
            parameter.requires_grad_(False)
        return backbone


class Scaled(ahs_seg.Method):
    """Cosine similarity of patch features and text embeddings, with a learned scale and offset."""

    def __init__(self, backbone, tuner, scale):
        super().__init__()
        self.backbone = backbone
        self.tuner = tuner
        self.scale = nn.Parameter(torch.tensor(scale))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def encode(self, images):
        side = self.backbone.resolution
        return self.backbone.encode_image(nn.functional.interpolate(images, (side, side), mode="bilinear"))

    def decode(self, features, text):
        words = self.ensure_prepared(text)
        dense = nn.functional.normalize(features.dense, dim=1)
        cosine = torch.einsum("bdhw,tpd->bthw", dense, words.embeddings) / words.embeddings.shape[1]
        return ahs_seg.Output(cosine * self.scale + self.offset, features, words, features.dense)

    def scores(self, logits):
        return logits.sigmoid()

    def merge(self):
        self.tuner.merge(self.backbone)


class ScaledConfig(ahs_seg.BaseMethodConfig):
    """A toy method: CLIP's cosine similarity with a learned scale."""

    name: Literal["scaled"] = "scaled"
    backbone: ahs_seg.ClipConfig = ahs_seg.ClipConfig(source="tiny", resolution=96)
    tuner: ahs_seg.Tuner = LastBlock()
    scale: float = 10.0

    def compose(self, backbone):
        return Scaled(self.tuner.apply(backbone), self.tuner, self.scale)


class Circles:
    """Discs on a lawn: an object with `vocabulary`, `__len__` and `__getitem__` is a dataset."""

    vocabulary = ahs_seg.Vocabulary.parse("red circle, grass")

    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows, columns = np.mgrid[:96, :96]
        inside = (rows - 48) ** 2 + (columns - 30 - 5 * index) ** 2 < 24**2
        image = np.where(inside[..., None], (200, 30, 30), (60, 140, 50)).astype(np.uint8)
        return ahs_seg.Sample(image, np.where(inside, 0, 1).astype(np.int32), f"circle {index}")


class CirclesData(ahs_seg.DatasetConfig):
    """Names the dataset in yaml files: `data: {name: circles}`."""

    name: Literal["circles"] = "circles"

    @property
    def title(self):
        return "circles"

    def open(self):
        return Circles()


class AreaFiles:
    """An output format: one text file per image with the number of pixels of every class."""

    def __init__(self, output, vocabulary):
        self.output = Path(output)

    def start(self, *, resume=False):
        self.output.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        return self.output / f"{name}.areas.txt"

    def add(self, item):
        lines = [f"{label} {pixels}" for label, pixels in item.result.areas().items()]
        self.path(item.name).write_text("\n".join(lines))

    def has(self, name):
        return self.path(name).exists()

    def finish(self):
        return ()
