"""Base classes of methods and of their configs; a new method derives from both."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods.objective import SegmentationObjective, SumObjective, TrainingClasses
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.modules.inference_form import (
    InferenceForm,
    LinearForm,
    compile_parts,
    put_forms,
    put_plain,
    undo_compile,
)
from ahs_seg.types import ClassText, ImageFeatures, Output, Words
from ahs_seg.vocabulary.seen_classes import SoftOverlap


class MethodOptions(Config):
    """Inference options of a method, which need no retraining; methods with more options derive from this class.

    `class_pooling` is the pooling factor of the class attention; methods without class attention accept only 1 (no
    pooling).
    """

    class_pooling: Literal[1] | None = None


@dataclass(frozen=True, slots=True)
class Merging:
    """How inference turns the logits of the views of an image into scores.

    By default, `Method.scores` is applied to the logits of each view, and the scores are merged. With `softmax`, the
    logits are merged, and the scores of all text rows are their softmax at every pixel, so that they sum to 1. With
    `refine`, merged logits are refined by the image before the softmax.
    """

    softmax: bool = False
    refine: PamrConfig | None = None


class Method(nn.Module, ABC):
    """Base class of segmentation methods: they compute logits of text rows from images and text embeddings."""

    options: ClassVar[type[MethodOptions]] = MethodOptions
    """The class of the options that `for_inference` accepts."""
    forms: ClassVar[tuple[type[InferenceForm], ...]] = ()
    """Inference forms of modules of this method, which `optimize` puts in their place."""
    compiled: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Classes of modules that `optimize(compile=True)` compiles; without any, the whole forward is compiled."""
    keeps_aspect: bool = False
    """Whether `encode` keeps the aspect ratio of a view; otherwise it resizes it to a square."""
    uses_seen: ClassVar[bool] = False
    """Whether classes that were seen in training are scored in another way than others (`ClassText.seen`)."""
    soft_overlap: SoftOverlap | None = None
    """How far a class counts as seen by its text embedding (None: by its name alone)."""
    backbone: Backbone
    runtime: Mapping[str, Any] | None = None
    """What computes the networks in place of PyTorch, with all settings that the results depend on (None: PyTorch)."""
    compute_dtype: torch.dtype = torch.float32
    """Type of matrix products and convolutions at inference; weights, cosines and scores are float32 in any case."""

    @property
    def merging(self) -> Merging:
        """How inference turns the logits of the views of an image into scores."""
        return Merging()

    def forward(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """The segmentation output for images (RGB in [0, 1], any size)."""
        return self.decode(self.encode(images), text)

    @abstractmethod
    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features: the part of the forward pass that does not depend on the text."""

    @abstractmethod
    def decode(self, features: Any, text: Words) -> Output:
        """The output from the image features of `encode` and text embeddings (or the result of `prepare`)."""

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> ClassText:
        """Text embeddings in the form that the method uses, computed once per vocabulary; by default unchanged.

        `seen` is True for rows whose class occurred in training (None: not known).
        """
        return ClassText(text, text, seen)

    def ensure_prepared(self, text: Words) -> ClassText:
        """`text` itself if it is already prepared, otherwise the result of `prepare`."""
        return text if isinstance(text, ClassText) else self.prepare(text)

    @abstractmethod
    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores in [0, 1] from logits, element by element; a score never falls where its logit rises."""

    def for_inference(self, options: Mapping[str, Any] | None = None) -> Method:
        """A copy in evaluation mode, with the tuning merged into the weights and the given options set.

        Raises:
            ConfigError: the method does not have an option; the message lists the available ones.
        """
        self._parse_options(options)  # before the copy, which takes time and memory
        return copy.deepcopy(self).become_inference(options)

    def become_inference(self, options: Mapping[str, Any] | None = None) -> Method:
        """`for_inference` without the copy: the method itself, which is changed; for one that nobody else holds.

        Raises:
            ConfigError: as `for_inference`.
        """
        chosen = self._parse_options(options)
        self.merge()
        self.set_options(chosen)
        return self.eval()

    def _parse_options(self, options: Mapping[str, Any] | None) -> MethodOptions:
        return self.options.parse(dict(options or {}), source=f"inference.options of {type(self).__name__}")

    def merge(self) -> None:
        """Fold the parameters added by the tuner into the weights, in place; by default there are none."""

    def optimize(self, *, pack_all: bool = False, compile: bool = False) -> None:  # noqa: A002  # as in PyTorch
        """Replace modules by their inference forms (`forms`), in place; parameters and their names stay the same.

        With `pack_all` every other linear layer may keep a packed copy of its weights, too (`LinearForm`). With
        `compile` PyTorch compiles the plain modules (`compiled`) instead, at the first call.
        """
        self.undo_optimize()
        if not compile:
            put_forms(self, (*self.forms, LinearForm) if pack_all else self.forms)
        elif not compile_parts(self, self.compiled):
            self.compile(fullgraph=True)

    def undo_optimize(self) -> None:
        """Undo `optimize`, in place."""
        put_plain(self)
        undo_compile(self)
        self._compiled_call_impl = None

    def set_options(self, options: Any) -> None:
        """Set inference options (an instance of `options`), in place; by default they have no effect."""


class BaseMethodConfig(Config):
    """Base class of the configs of all methods; the fields are the hyper-parameters of the method."""

    name: str
    backbone: ClipConfig

    @classmethod
    def of_saved(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings of this method in a model directory, with those that an earlier version had not written yet."""
        return settings

    def build(self) -> Method:
        """The method with the pre-trained weights of all its networks."""
        return self.compose(self.backbone.build())

    @abstractmethod
    def compose(self, backbone: Backbone) -> Method:
        """The method on the given backbone; its other networks have random weights."""

    def objective(
        self, method: nn.Module, classes: TrainingClasses, *, ignore_as_negative: bool = True
    ) -> SumObjective:
        """The training objective; by default only the segmentation loss.

        `classes` are the training classes, which some parts of a method need for their initialisation. With
        `ignore_as_negative` pixels without a label are negatives of all classes (see `segmentation_loss`).
        """
        del method, classes
        return SumObjective([SegmentationObjective(ignore_as_negative=ignore_as_negative)])

    def for_classes(self, count: int) -> BaseMethodConfig:
        """The config for training with `count` classes; by default nothing depends on their number."""
        del count
        return self
