"""Words and pictures in, a class for every pixel out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from ahs_seg.checkpoints.directory import load_model
from ahs_seg.data.images import ImageSource, read_image
from ahs_seg.inference import InferenceConfig, Method, Prediction, predict
from ahs_seg.prompts import PromptConfig, PromptTable
from ahs_seg.segmentation import Segmentation
from ahs_seg.text_cache import TextCache
from ahs_seg.vocabulary import ClassSource, Vocabulary

logger = logging.getLogger(__name__)


@runtime_checkable
class Tuned(Method, Protocol):
    """A method whose tuning can be folded into its weights."""

    def merged(self, *, class_pooling: int | None = None) -> Method:
        """A copy for inference."""


class Segmenter:
    """Segments pictures into classes named in plain words.

    Holds its own copy of the method, with the tuning merged: training on does not change it. Names are encoded once
    (see `TextCache`; give one with a directory to keep them between runs). Threads may share a segmenter.
    """

    def __init__(
        self,
        method: Tuned,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
    ) -> None:
        self.prompts = prompts or PromptConfig()
        self.inference = inference or InferenceConfig()
        self.method = method.merged(class_pooling=self.inference.class_pooling)
        self.cache = cache or TextCache()
        self._table = lru_cache(maxsize=8)(self._make_table)

    @classmethod
    def from_pretrained(
        cls,
        directory: Path | str,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        device: torch.device | str = "cpu",
    ) -> Segmenter:
        """The segmenter in a model directory, with its own prompts and protocol unless others are given."""
        description, method = load_model(directory)
        return cls(
            method.to(device),
            prompts=prompts or description.prompts,
            inference=inference or description.inference,
            cache=cache,
        )

    def __call__(self, image: ImageSource, classes: ClassSource) -> Segmentation:
        """The segmentation of one picture (a file, a PIL image, an array or a tensor) into `classes`.

        Classes are given as `Vocabulary.parse` takes them: "cat, sofa, lamp", a list, a mapping of labels to names, a
        text file, or the name of a known vocabulary.

        Raises:
            VocabularyError: class names that cannot be used.
            TextTooLongError: a name that the text tower cannot read to its end.
            ImageError: a picture that cannot be read.
        """
        table = self._table(Vocabulary.parse(classes))
        pixels = read_image(image)
        prediction = self._predict(pixels, table)
        return Segmentation(pixels, _labels(prediction), prediction.scores.cpu().numpy(), table.vocabulary)

    def predictor(self, vocabulary: Vocabulary) -> Callable[[UInt8[np.ndarray, "H W 3"]], Int32[np.ndarray, "H W"]]:
        """A function from pictures (RGB) to the index of the class of every pixel, for one vocabulary."""
        table = self._table(vocabulary)
        return lambda image: _labels(self._predict(image, table))

    def encode(self, vocabulary: Vocabulary) -> Float[Tensor, "t p d"]:
        """The text embeddings of a vocabulary, encoded now unless they are in the cache."""
        return self.cache.encode(self.method.backbone, self._table(vocabulary))

    def _make_table(self, vocabulary: Vocabulary) -> PromptTable:
        rule = self.prompts.synonyms
        shared = [f"{words!r} ({', '.join(map(str, found))})" for words, found in vocabulary.collisions(rule).items()]
        if shared:
            logger.warning(
                "with synonyms=%r these names stand for several classes (their numbers follow); the first of them gets "
                "all pixels: %s",
                rule,
                "; ".join(shared),
            )
        return self.prompts.table(vocabulary)

    def _predict(self, image: UInt8[np.ndarray, "H W 3"], table: PromptTable) -> Prediction:
        text = self.cache.encode(self.method.backbone, table)
        return predict(self.method, image, text, self.inference, row_class=table.row_class)


def _labels(prediction: Prediction) -> Int32[np.ndarray, "H W"]:
    labels: Int32[np.ndarray, "H W"] = prediction.labels.cpu().numpy()
    return labels
