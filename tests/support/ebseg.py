"""A small EBSeg on a random CLIP, with images, words and losses for it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.types import TrainingForward
from tests.support.builders import random_backbone
from tests.support.small_methods import EBSEG_SMALL


def small(**changes: Any) -> EBSegSegmenter:
    torch.manual_seed(0)
    return EBSEG_SMALL.replace(**changes).compose(random_backbone()).eval()


def images(count: int, height: int = 40, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def words(count: int) -> Tensor:
    return F.normalize(torch.randn(count, 1, 24, generator=torch.Generator().manual_seed(2)), dim=-1)


def losses_of(method: EBSegSegmenter, labels: Tensor, text: Tensor, **config: Any) -> dict[str, Tensor]:
    shown = images(len(labels), *labels.shape[-2:])
    classes = torch.arange(len(text))
    forward = TrainingForward(shown, labels, classes, classes, method(shown, text), 0.0)
    return EBSegObjective(EBSegLossConfig(points=32, **config))(method, forward)
