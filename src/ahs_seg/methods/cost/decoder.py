"""The guided decoder: logits at four times the resolution of the aggregated maps."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.methods.cost.guidance import Guidance
from ahs_seg.modules.upsample import GuidedUpsample


@dataclass(frozen=True, slots=True)
class DecoderTerms:
    """Tensors that the decoder computes once per forward pass: guidance terms and fused kernels of both stages."""

    fine: Tensor
    finest: Tensor
    fine_kernel: Tensor
    finest_kernel: Tensor


class GuidedDecoder(nn.Module):
    """Two guided upsampling stages and a 3x3 convolution to one logit per class and pixel (CAT-Seg, decoder)."""

    def __init__(self, dim: int, dims: tuple[int, int], *, guidance_dims: tuple[int, int]) -> None:
        super().__init__()
        self.up1 = GuidedUpsample(dim, dims[0], guidance_dim=guidance_dims[0])
        self.up2 = GuidedUpsample(dims[0], dims[1], guidance_dim=guidance_dims[1])
        self.logit = nn.Conv2d(dims[1], 1, 3, padding=1)

    def prepare(self, guidance: Guidance) -> DecoderTerms:
        """The tensors that are equal for all classes."""
        return DecoderTerms(
            self.up1.guide(guidance.fine), self.up2.guide(guidance.finest), self.up1.kernel(), self.up2.kernel()
        )

    def forward(self, maps: Float[Tensor, "b t h w c"], terms: DecoderTerms) -> Float[Tensor, "b t H W"]:
        """Logits of one chunk of classes."""
        hidden = self.up1(maps.permute(0, 1, 4, 2, 3), terms.fine, terms.fine_kernel)
        hidden = self.up2(hidden, terms.finest, terms.finest_kernel)
        return self.logit(hidden.flatten(0, 1))[:, 0].unflatten(0, maps.shape[:2])
