"""What methods, tuners, caches and segmenters may use of an image-text backbone; nothing else of it is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.errors import AhsSegError
from ahs_seg.modules.resize import resize
from ahs_seg.types import ImageFeatures

Tower = Literal["vision", "text"]


class BackboneError(AhsSegError, ValueError):
    """A backbone that cannot be loaded, or an image size or level that it does not have."""


class AttentionWeights(NamedTuple):
    """The four matrices of one attention layer, each [output, input]; biases never change."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


class AttentionParts(NamedTuple):
    """The four linear layers of one attention layer, in the order of `AttentionWeights`."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear

    @property
    def weights(self) -> AttentionWeights:
        """The matrices of the layers."""
        return AttentionWeights(*(part.weight for part in self))


@runtime_checkable
class Adapter(Protocol):
    """A tuner's layer: gives the attention weights that a tower uses instead of its own."""

    def __call__(self, tower: Tower, plain: Sequence[AttentionWeights]) -> list[AttentionWeights]:
        """The weights to use, layer by layer."""


class Backbone(nn.Module, ABC):
    """Dense image features, hidden levels, pooled features and text features in one joint space.

    `dim` is the width of that space, `width` and `depth` those of the image tower (`text_width`, `text_depth`: of the
    text tower), `heads` its attention heads. `resolution` is the side, in pixels, at which methods show it images, and
    `grid` that side in patches of `patch_size`. `mean` and `std` are the statistics of its training images. `model` is
    the pre-trained network, opened by backbones and checkpoints alone. `adapter` is what a tuner added, `checkpointing`
    whether activations are computed again in the backward pass.
    """

    kind: ClassVar[str]
    model: Any
    tokenizer: TextTokenizer
    adapter: nn.Module | None
    checkpointing: bool
    dim: int
    width: int
    text_width: int
    depth: int
    text_depth: int
    heads: int
    patch_size: int
    resolution: int
    grid: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where images and tokens are expected, and features come out."""

    @property
    @abstractmethod
    def logit_scale(self) -> Float[Tensor, ""]:
        """The factor on cosines that the backbone was trained with (the inverse of its temperature)."""

    @abstractmethod
    def encode_image(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images (RGB in [0, 1]) whose sides are multiples of the patch size.

        `levels` are indices of blocks (0-based) whose outputs are wanted; the last index means the dense output of the
        last block before the final norm. `pooled` adds the whole-image embedding.
        """

    def encode_resized(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images of any size, resized to the square of this backbone's resolution; see `encode_image`."""
        return self.encode_image(resize(images, self.resolution), levels=levels, pooled=pooled)

    @abstractmethod
    def encode_text(self, tokens: Tokens) -> Float[Tensor, "n d"]:
        """Embeddings (joint space, not normalised) of n prompts."""

    @abstractmethod
    def attention(self, tower: Tower) -> list[AttentionParts]:
        """The attention layers of a tower, block by block, as they were pre-trained."""

    @abstractmethod
    def blocks(self, tower: Tower) -> nn.ModuleList:
        """The transformer blocks of a tower."""

    @property
    @abstractmethod
    def stem(self) -> nn.Module:
        """The layer that turns pixels into patch embeddings."""

    @property
    @abstractmethod
    def position_table(self) -> nn.Parameter:
        """The position embeddings of the image tower."""

    @abstractmethod
    def idle_in_dense(self) -> list[nn.Parameter]:
        """Parameters of the image tower without part in dense features: they never receive a gradient."""

    @abstractmethod
    def image_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the image tower by their names in `model`."""

    @abstractmethod
    def text_state(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors that `encode_text` depends on, those of an adapter left out."""

    @abstractmethod
    def text_settings(self) -> dict[str, Any]:
        """All settings that `encode_text` depends on, as JSON takes them."""

    @abstractmethod
    def without_adapter(self) -> Backbone:
        """The backbone as it was before tuning; it shares every weight with this one."""

    def attention_weights(self, tower: Tower) -> list[AttentionWeights]:
        """The attention matrices that a tower uses: its own, or the adapter's."""
        plain = [parts.weights for parts in self.attention(tower)]
        return plain if self.adapter is None else self.adapter(tower, plain)

    def normalise(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Images (RGB in [0, 1]) with the mean and spread that the backbone was trained on."""
        mean = torch.tensor(self.mean, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(3, 1, 1)
        return (images - mean) / std

    @abstractmethod
    def save_description(self, directory: Path) -> None:
        """Write configuration, tokenizer and image statistics, but no weights; `build_empty` of the config reads it."""

    def network_state(self) -> dict[str, Tensor]:
        """The weights of `model` by their names in it."""
        state: dict[str, Tensor] = self.model.state_dict()
        return state

    def trains_text(self) -> bool:
        """Whether training changes what `encode_text` gives."""
        added = [] if self.adapter is None else list(self.adapter.parameters())
        return any(value.requires_grad for value in (*(value for _, value in self.text_state()), *added))
