"""What generic code needs of a method and of its config; a method of your own derives from both classes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods.objective import SegmentationObjective, SumObjective, TrainingClasses
from ahs_seg.types import ClassText, ImageFeatures, Output, Words


class MethodOptions(Config):
    """What may be chosen at inference without another training; methods with more choices derive from it.

    `class_pooling` is the pooling of a class attention: 1 is none, which is all that a method without one can do.
    """

    class_pooling: Literal[1] | None = None


class Method(nn.Module, ABC):
    """A segmentation method: images and the text embeddings of any classes in, logits of every row of the text out."""

    options: ClassVar[type[MethodOptions]] = MethodOptions
    """What `for_inference` takes."""
    backbone: Backbone

    def forward(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """The output for images (RGB in [0, 1], any size)."""
        return self.decode(self.encode(images), text)

    @abstractmethod
    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """The part of the forward that depends on the images alone."""

    @abstractmethod
    def decode(self, features: Any, text: Words) -> Output:
        """The rest of the forward, from what `encode` gave; `text` are embeddings, or what `prepare` made of them."""

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> ClassText:
        """The text as the method reads it, once per vocabulary; here the embeddings as they are.

        `seen` marks the rows whose class training has seen (None: not known).
        """
        return ClassText(text, text, seen)

    def prepared(self, text: Words) -> ClassText:
        """`text` itself if it is prepared, otherwise what `prepare` makes of it."""
        return text if isinstance(text, ClassText) else self.prepare(text)

    @abstractmethod
    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores in [0, 1], for each number by itself."""

    def for_inference(self, options: Mapping[str, Any] | None = None) -> Method:
        """A copy in evaluation mode, with the tuning merged into the weights and these options in place.

        Raises:
            ConfigError: an option that the method does not have; lists those it has.
        """
        chosen = self.options.parse(dict(options or {}), source=f"inference.options of {type(self).__name__}")
        twin = copy.deepcopy(self)
        twin.merge()
        twin.choose(chosen)
        return twin.eval()

    def merge(self) -> None:
        """Fold what tuning added into the weights, in place; here nothing was added."""

    def choose(self, options: Any) -> None:
        """Put options (an instance of `options`) in place; here there are none that change anything."""


class BaseMethodConfig(Config):
    """Base of the configs of all methods; its fields are the hyper-parameters of the method."""

    name: str
    backbone: ClipConfig

    def build(self) -> Method:
        """The method with the pre-trained weights of everything it stands on."""
        return self.compose(self.backbone.build())

    @abstractmethod
    def compose(self, backbone: Backbone) -> Method:
        """The method on a backbone that exists; what else it stands on has random weights."""

    def objective(
        self, method: nn.Module, classes: TrainingClasses, *, ignore_as_negative: bool = True
    ) -> SumObjective:
        """What training minimises: here the segmentation loss alone.

        `classes` are those of the training, for parts that start from them. With `ignore_as_negative` pixels without a
        label count as "no class" (see `segmentation_loss`).
        """
        del method, classes
        return SumObjective([SegmentationObjective(ignore_as_negative=ignore_as_negative)])

    def for_classes(self, count: int) -> BaseMethodConfig:
        """The config for a training with so many classes; here nothing depends on their number."""
        del count
        return self
