"""A convolutional patch embedding for small CLIP models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvStem(nn.Sequential):
    """Patch embedding by 3x3 convolutions and a final 1x1 convolution to the width of the transformer.

    The first `halvings` convolutions have stride 2 (all by default). Replaces CLIP's single strided patch convolution:
    a small transformer learns texture and shape much faster with it (Xiao et al., "Early convolutions help transformers
    see better", NeurIPS 2021). Padding replicates the border, because zero padding would mark the patches at the edge
    of the image. Batch norm helps pre-training; `folded` folds it into the convolutions, so a finished model has none.
    """

    def __init__(self, channels: Sequence[int], dim: int, *, halvings: int | None = None, norm: bool = False) -> None:
        layers: list[nn.Module] = []
        previous = 3
        for index, width in enumerate(channels):
            stride = 2 if halvings is None or index < halvings else 1
            layers.append(nn.Conv2d(previous, width, 3, stride, padding=1, padding_mode="replicate", bias=not norm))
            layers += [nn.BatchNorm2d(width)] if norm else []
            layers.append(nn.ReLU())
            previous = width
        layers.append(nn.Conv2d(previous, dim, 1))
        super().__init__(*layers)

    @property
    def weight(self) -> Tensor:
        """Weight of the first convolution; transformers reads its type where CLIP's patch convolution stood."""
        first = self[0]
        assert isinstance(first, nn.Conv2d)
        return first.weight

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Patch embeddings, one per 2^n x 2^n pixels with n convolutions of stride 2."""
        for layer in self:
            images = layer(images)
        return images

    @torch.no_grad()
    def folded(self) -> ConvStem:
        """An equivalent stem (in evaluation mode) with batch norm folded into the convolutions."""
        plain: list[nn.Module] = []
        for layer in self:
            if isinstance(layer, nn.BatchNorm2d):
                convolution = plain.pop()
                assert isinstance(convolution, nn.Conv2d)
                plain.append(fuse_conv_bn_eval(convolution.eval(), layer.eval()))
            else:
                plain.append(layer)
        stem = ConvStem.__new__(ConvStem)
        nn.Sequential.__init__(stem, *plain)
        return stem
