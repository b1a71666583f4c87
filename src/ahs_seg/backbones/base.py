"""The interface of image-text backbones; other packages of the library use nothing else of a backbone."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.errors import AhsSegError
from ahs_seg.modules.constants import made_on
from ahs_seg.modules.resize import resize
from ahs_seg.types import ImageFeatures

Tower = Literal["vision", "text"]
DenseForm = Literal["cat_seg", "value", "residual", "clip", "sclip", "naclip", "clearclip"]
"""Names of the dense forms, see `backbones.dense_forms`."""


class BackboneError(AhsSegError, ValueError):
    """A backbone cannot be loaded, or does not support an image size or a level."""


class AttentionWeights(NamedTuple):
    """The four weight matrices of one attention layer, each [output, input]; tuning never changes the biases."""

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
        """The weight matrices of the four linear layers."""
        return AttentionWeights(*(part.weight for part in self))


@runtime_checkable
class Adapter(Protocol):
    """A module added by a tuner: computes the attention weights that replace the pre-trained ones."""

    def __call__(self, tower: Tower, plain: Sequence[AttentionWeights]) -> list[AttentionWeights]:
        """The attention weights to use, one entry per layer, computed from the pre-trained ones in `plain`."""


class Backbone(nn.Module, ABC):
    """Base class of image-text backbones: image features and text embeddings in one joint space.

    `dim` is the dimension of the joint space, `width` and `depth` are those of the image tower (`text_width` and
    `text_depth`: of the text tower), `heads` is the number of its attention heads. `resolution` is the side, in pixels,
    to which methods resize images, and `grid` is that side in patches of `patch_size`. `mean` and `std` are the
    normalisation statistics of the training images. `dense_form` names how dense features are read from the last block
    (`backbones.dense_forms`); backbones without `has_dense_forms` have one form of their own. `model` is the
    pre-trained network; only backbones and checkpoints access it. `languages` are those that the text tower was trained
    on (None: many, or not known). `adapter` is the module added by a tuner (None: none). With `checkpointing`
    activations are recomputed in the backward pass to save memory.
    """

    kind: ClassVar[str]
    has_dense_forms: ClassVar[bool] = False
    languages: tuple[str, ...] | None = None
    dense_form: DenseForm = "cat_seg"
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
        """The device that inputs must be on and that features are returned on."""

    @property
    def input_settings(self) -> dict[str, Any]:
        """How texts and images are read, which shapes results as the weights do; values for JSON."""
        words = hashlib.sha256(self.tokenizer.fingerprint.encode()).hexdigest()
        form = {} if self.dense_form == "cat_seg" else {"dense": self.dense_form}
        return {"tokenizer": words, "mean": self.mean, "std": self.std, "resolution": self.resolution, **form}

    @property
    @abstractmethod
    def logit_scale(self) -> Float[Tensor, ""]:
        """The scale of cosine similarities used in pre-training (the inverse of the temperature)."""

    @abstractmethod
    def encode_image(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images (RGB in [0, 1]) whose sides are multiples of the patch size.

        `levels` are the indices (0-based) of the blocks whose outputs are returned; the last index means the dense
        output of the last block before the final norm. `pooled` adds the whole-image embedding.
        """

    def encode_resized(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images of any size, after resizing to the backbone's resolution; see `encode_image`."""
        return self.encode_image(resize(images, self.resolution), levels=levels, pooled=pooled)

    @abstractmethod
    def encode_text(self, tokens: Tokens) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised) of n prompts.

        The tokens may be on the CPU; then nothing waits for the device of the backbone.
        """

    @abstractmethod
    def attention(self, tower: Tower) -> list[AttentionParts]:
        """The pre-trained attention layers of a tower, one entry per block."""

    @abstractmethod
    def blocks(self, tower: Tower) -> nn.ModuleList:
        """The transformer blocks of a tower."""

    @property
    @abstractmethod
    def stem(self) -> nn.Module:
        """The patch embedding layer of the image tower."""

    @property
    @abstractmethod
    def position_table(self) -> nn.Parameter:
        """The position embeddings of the image tower."""

    @abstractmethod
    def unused_in_dense(self) -> list[nn.Parameter]:
        """Parameters of the image tower that dense features do not use; they never receive a gradient."""

    @abstractmethod
    def image_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the image tower, with their names in `model`."""

    @abstractmethod
    def text_state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and values of all tensors that `encode_text` depends on, without those of an adapter."""

    @abstractmethod
    def text_settings(self) -> dict[str, Any]:
        """All settings that `encode_text` depends on, as JSON-compatible values."""

    @abstractmethod
    def without_adapter(self) -> Backbone:
        """The same backbone without its adapter; all weights are shared, not copied."""

    def attention_weights(self, tower: Tower) -> list[AttentionWeights]:
        """The attention weights in use: those of the adapter if there is one, else the pre-trained ones."""
        plain = [parts.weights for parts in self.attention(tower)]
        return plain if self.adapter is None else self.adapter(tower, plain)

    def normalise(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Images (RGB in [0, 1]) normalised with the mean and standard deviation of the backbone."""
        mean, std = made_on(images.device, (*self.mean, *self.std)).view(2, 3, 1, 1)
        return (images - mean) / std

    @abstractmethod
    def save_description(self, directory: Path) -> None:
        """Write configuration, tokenizer and image statistics, without weights, for `build_empty` of the config."""

    def network_state(self) -> dict[str, Tensor]:
        """The state dict of `model`."""
        state: dict[str, Tensor] = self.model.state_dict()
        return state

    def text_is_trained(self) -> bool:
        """Whether training changes the result of `encode_text`."""
        added = [] if self.adapter is None else list(self.adapter.parameters())
        return any(value.requires_grad for value in (*(value for _, value in self.text_state()), *added))
