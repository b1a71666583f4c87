"""Model and loss for fine-tuning the CLIP that encodes masked crops in SCAN's second stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.image_tower import ImageTower
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.methods.mask.scan.context_shift import Context, RandomPatches, SelectPatches, embed_regions, read_context
from ahs_seg.methods.mask.scan.crops import bounding_boxes, cut_regions, random_sub_boxes
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.types import IGNORE, ClassText, ImageFeatures, Output, TrainingForward, Words


def region_contrast(
    regions: Float[Tensor, "n d"], names: Float[Tensor, "n d"], classes: Int[Tensor, " n"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Symmetric contrastive loss of region embeddings and class-name embeddings (unit vectors).

    The mean of the cross-entropies of regions against names and of names against regions. All pairs of the same class
    are positives with equal target probability; if all classes differ this is the loss of CLIP (Radford et al., 2021),
    as in OVSeg (Liang et al., CVPR 2023). There is at least one region.
    """
    logits = scale * regions @ names.T
    same = (classes[:, None] == classes).to(logits.dtype)
    targets = same / same.sum(1, keepdim=True)
    return torch.stack([F.cross_entropy(logits, targets), F.cross_entropy(logits.T, targets)]).mean()


LARGEST_SCALE = 100.0
"""Upper bound of the logit scale, the inverse of CLIP's temperature (Radford et al., 2021)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFeatures(ImageFeatures):
    """Images normalised for CLIP (`seen`), and their context from the original CLIP."""

    seen: Float[Tensor, "b 3 H W"]
    context: Context


class CropEncoder(nn.Module):
    """A frozen CLIP, and a trainable copy of its image tower that encodes masked crops.

    After the blocks in `shifts` (numbered from 1), a share `ratio` of the background patches is replaced with the class
    token of the whole image (contextual shift). With `checkpointing` the activations of crops are recomputed in the
    backward pass.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"scale"})

    def __init__(self, backbone: ClipBackbone, *, shifts: Sequence[int], ratio: float) -> None:
        super().__init__()
        self.shifted = ImageTower.copied(backbone.image_tower).requires_grad_(requires_grad=True)
        self.backbone = backbone.requires_grad_(requires_grad=False)
        self.shifts, self.ratio = tuple(shifts), ratio
        self.checkpointing = False
        self.scale = nn.Parameter(backbone.logit_scale.detach().log())

    def forward(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """The context of images (RGB in [0, 1]), with the zero-shot logits of the original CLIP's patch features."""
        seen = self.backbone.normalise(images)
        side = self.backbone.resolution
        shown = F.interpolate(seen, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
        with torch.no_grad():
            context = read_context(self.backbone.image_tower, shown, levels=(), starts=self.shifts)
        words = text if isinstance(text, ClassText) else ClassText(text, text)
        features = ContextFeatures(dense=context.dense, seen=seen, context=context)
        logits = LARGEST_SCALE * cosine_cost(context.dense, words.embeddings).mean(1)
        return Output(logits, features, words, context.dense)

    def read(
        self,
        features: ContextFeatures,
        index: int,
        masks: Bool[Tensor, "n H W"],
        *,
        choose: SelectPatches,
        min_area: float = 1.0,
    ) -> Float[Tensor, "n d"]:
        """Unit embeddings of the crops of non-empty masks of image `index`; `min_area` as in `random_sub_boxes`."""
        regions = cut_regions(
            features.seen[index],
            masks,
            self.backbone.resolution,
            boxes=random_sub_boxes(bounding_boxes(masks), min_area),
        )
        foreground = regions.foreground(self.backbone.patch_size)
        starts = features.context.of(index, len(masks))
        return embed_regions(
            self.shifted,
            regions.pixels,
            foreground,
            starts,
            ratio=self.ratio,
            choose=choose,
            checkpointing=self.checkpointing,
        )


class RegionObjective(nn.Module):
    """Contrastive loss between the masked crops of all classes in all images and the names of these classes.

    A crop covers a random part of the bounding box, with at least the share `min_area` of its area.
    """

    def __init__(self, *, min_area: float) -> None:
        super().__init__()
        self.min_area = min_area

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, under the key `contrast`; without any region it is 0, with zeros as gradients."""
        assert isinstance(method, CropEncoder)
        features = view.output.features
        assert isinstance(features, ContextFeatures)
        embeddings, classes, dtype = [], [], view.compute_dtype  # crops are encoded in the type of the forward pass
        for index, labels in enumerate(view.labels):
            present = classes_of(labels)
            classes.append(present)
            if len(present):
                masks = labels == present[:, None, None]
                with torch.autocast(masks.device.type, dtype=dtype, enabled=dtype != torch.float32):
                    read = method.read(features, index, masks, choose=RandomPatches(), min_area=self.min_area)
                embeddings.append(read)
        if not embeddings:
            return {"contrast": _zero_of_trained(method)}
        owner, regions = torch.cat(classes), torch.cat(embeddings)
        names = class_embeddings(view.output.text)[torch.searchsorted(view.row_class, owner)]
        scale = method.scale.clamp(max=math.log(LARGEST_SCALE)).exp()
        return {"contrast": region_contrast(regions.float(), names, owner, scale)}


def _zero_of_trained(module: nn.Module) -> Float[Tensor, ""]:
    """The number 0 as a function of every trained parameter: with several processes each must get a gradient."""
    trained = [value for value in module.parameters() if value.requires_grad]
    return torch.stack([value.flatten()[:0].sum() for value in trained]).sum()


def classes_of(labels: Int[Tensor, "H W"]) -> Int[Tensor, " n"]:
    """The classes present in a label map, ascending."""
    return labels[labels != IGNORE].unique()
