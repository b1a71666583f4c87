"""Zero-shot classification and segmentation scores of a CLIP on the drawn world, before segmentation training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import Config
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.data.world.names import STUFF, never_trained, seen_names, things
from ahs_seg.data.world.photos import PhotoSource
from ahs_seg.metrics import ConfusionMatrix

TEMPLATE: Final = "A photo of a {} in the scene"
WINDOW: Final = 48
_BATCH: Final = 64


class PhotoScores(Config):
    """Zero-shot accuracy on one-object photographs, in [0, 1]: top-1 among all 1008 objects, and per attribute."""

    photos: PositiveInt
    top1: NonNegativeFloat
    colour: NonNegativeFloat
    texture: NonNegativeFloat
    shape: NonNegativeFloat


class SceneScores(Config):
    """Scores of training-free segmentation of scenes, in [0, 1]; mIoU is over classes with ground truth."""

    miou: NonNegativeFloat
    seen: NonNegativeFloat
    unseen: NonNegativeFloat
    pixel_accuracy: NonNegativeFloat


class Validation(Config):
    """Validation scores of a tiny CLIP.

    `whole` encodes each scene at once, `windowed` in separate windows, which cut objects. `whole` must not be worse: it
    is when patch features mix in content from other places of the image.
    `columns` and `rows` are the accuracy of background patches by patch column and row; it should not depend on them.
    """

    seed: int
    trained: PhotoScores
    never_trained: PhotoScores
    names: int
    scenes: PositiveInt
    whole: SceneScores
    windowed: SceneScores
    columns: tuple[NonNegativeFloat, ...]
    rows: tuple[NonNegativeFloat, ...]

    def faults(self) -> list[str]:
        """Acceptance criteria that the CLIP fails, one message each; empty if it passes."""
        found = []
        if self.trained.top1 < 0.75:
            found.append(f"zero-shot top-1 is {self.trained.top1:.1%}; at least 75 % is required")
        if self.never_trained.top1 < self.trained.top1 - 0.08:
            gap = self.trained.top1 - self.never_trained.top1
            found.append(f"never-trained combinations are {gap:.1%} behind; at most 8 points are allowed")
        whole, windowed = self.whole.miou, self.windowed.miou
        if whole < windowed - 0.02:
            found.append(f"whole image {whole:.1%} mIoU is more than 2 points below windowed, {windowed:.1%}")
        for place in ("columns", "rows"):
            values = getattr(self, place)
            if max(values) - min(values) > 0.15:
                found.append(
                    f"accuracy over {place} ranges from {min(values):.2f} to {max(values):.2f}; at most 0.15 apart"
                )
        return found


def validate(
    backbone: ClipBackbone, seed: int, *, photos: int = 1000, scenes: int = 300, names: int = 150
) -> Validation:
    """Scores of zero-shot classification of photographs and training-free segmentation of scenes, drawn from `seed`."""
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        known = [name for name in things() if name not in never_trained()]
        trained = photo_scores(backbone, seed, known, photos)
        never = photo_scores(backbone, seed, sorted(never_trained()), photos)
        world = WorldDataset(seed, scenes, names)
        whole, columns, rows = scene_scores(backbone, world, window=None)
        windowed, _, _ = scene_scores(backbone, world, window=WINDOW)
    backbone.train(was_training)
    return Validation(
        seed=seed,
        trained=trained,
        never_trained=never,
        names=names,
        scenes=scenes,
        whole=whole,
        windowed=windowed,
        columns=columns,
        rows=rows,
    )


def photo_scores(backbone: ClipBackbone, seed: int, names: Sequence[str], count: int) -> PhotoScores:
    """Scores of zero-shot classification of `count` photographs of the named objects among all objects."""
    text = embed_names(backbone, list(things()))
    every = list(things().values())
    source = PhotoSource(seed, names)
    right = np.zeros((count, 4))
    for start in range(0, count, _BATCH):
        taken = [source[index] for index in range(start, min(count, start + _BATCH))]
        images = _to_images([photo.image for photo in taken])
        pooled = backbone.encode_image(images, pooled=True).pooled
        assert pooled is not None
        best = (pooled @ text.T).argmax(1)
        for offset, (photo, index) in enumerate(zip(taken, best.tolist(), strict=True)):
            same = [a == b for a, b in zip(every[index], photo.thing or (), strict=True)]
            right[start + offset] = [all(same), *same]
    top1, colour, texture, shape = right.mean(0).tolist()
    return PhotoScores(photos=count, top1=top1, colour=colour, texture=texture, shape=shape)


def scene_scores(
    backbone: ClipBackbone, world: WorldDataset, *, window: int | None
) -> tuple[SceneScores, tuple[float, ...], tuple[float, ...]]:
    """Training-free segmentation scores, and accuracy of background patches by column and by row.

    Each patch gets its cosine similarities to the class names; they are resized bilinearly to the labels' size.
    """
    labels = world.vocabulary.labels
    text = embed_names(backbone, labels)
    ground = torch.tensor([label in STUFF for label in labels])
    matrix = ConfusionMatrix(len(labels))
    patch = backbone.patch_size
    right, total = torch.zeros(2, *_grid(world, patch), dtype=torch.float64)
    for start in range(0, len(world), 16):
        samples = [world[index] for index in range(start, min(len(world), start + 16))]
        images = _to_images([sample.image for sample in samples])
        wanted = torch.from_numpy(np.stack([sample.labels for sample in samples]).astype(np.int64))
        cosine = _cosine(backbone, images, text, window)
        grown = F.interpolate(cosine, size=wanted.shape[-2:], mode="bilinear", align_corners=False)
        matrix.update(grown.argmax(1), wanted)
        pure, label = _pure_patches(wanted, patch)
        pure &= ground[label]
        right += (pure & (cosine.argmax(1) == label)).sum(0)
        total += pure.sum(0)
    scores = matrix.scores(labels, seen=seen_names())
    summary = SceneScores(
        miou=scores.miou or 0.0, seen=scores.seen or 0.0, unseen=scores.unseen or 0.0, pixel_accuracy=scores.pacc or 0.0
    )
    return summary, _ratio(right, total, 0), _ratio(right, total, 1)


def embed_names(backbone: ClipBackbone, names: Sequence[str]) -> Float[Tensor, "t d"]:
    """L2-normalised text embeddings of names in `TEMPLATE`."""
    tokens = backbone.tokenizer([TEMPLATE.format(name) for name in names])
    return F.normalize(backbone.encode_text(tokens), dim=-1)


def _cosine(backbone: ClipBackbone, images: Tensor, text: Tensor, window: int | None) -> Float[Tensor, "b t h w"]:
    def cosine(part: Tensor) -> Tensor:
        dense = F.normalize(backbone.encode_image(part).dense, dim=1)
        return torch.einsum("bdhw,td->bthw", dense, text)

    return cosine(images) if window is None else _by_window(cosine, images, window)


def _by_window(score: Callable[[Tensor], Tensor], images: Tensor, window: int) -> Tensor:
    rows = [torch.cat([score(part) for part in band.split(window, 3)], 3) for band in images.split(window, 2)]
    return torch.cat(rows, 2)


def _pure_patches(labels: Int[Tensor, "b H W"], patch: int) -> tuple[Tensor, Tensor]:
    """Mask of the patches with a single label, and the top-left label of each patch."""
    tiles = labels.unfold(1, patch, patch).unfold(2, patch, patch).flatten(3)
    return (tiles == tiles[..., :1]).all(-1), tiles[..., 0]


def _grid(world: WorldDataset, patch: int) -> tuple[int, int]:
    height, width = world[0].labels.shape
    return height // patch, width // patch


def _ratio(right: Float[Tensor, "h w"], total: Float[Tensor, "h w"], axis: int) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in (right.sum(axis) / total.sum(axis).clamp_min(1)).tolist())


def _to_images(arrays: Sequence[np.ndarray]) -> Float[Tensor, "b 3 H W"]:
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
