"""A small SCAN on a random CLIP, with images and words for it."""

from typing import Any

import torch
from torch import Tensor

from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from tests.support.builders import random_backbone
from tests.support.small_methods import SCAN_SMALL


def build(**changes: Any) -> ScanSegmenter:
    torch.manual_seed(0)
    return SCAN_SMALL.replace(**changes).compose(random_backbone()).eval()


def words(count: int) -> Tensor:
    return torch.randn(count, 1, 24, generator=torch.Generator().manual_seed(count))


def images(count: int = 2, height: int = 50, width: int = 70) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))
