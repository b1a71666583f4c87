"""Words and pictures in, a class for every pixel out."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from ahs_seg.checkpoints.card import Evaluated, write_card
from ahs_seg.checkpoints.directory import CheckpointError, ModelDescription, load_model, merged_description, save_model
from ahs_seg.checkpoints.hub import push_to_hub
from ahs_seg.checkpoints.known import find_model
from ahs_seg.data.images import ImageSource, read_image
from ahs_seg.inference import InferenceConfig, Method, Prediction, predict, predict_many
from ahs_seg.methods import Segmenting
from ahs_seg.prompts import PromptConfig, PromptTable
from ahs_seg.segmentation import Segmentation
from ahs_seg.text_cache import TextCache
from ahs_seg.types import Words
from ahs_seg.vocabulary import ClassSource, Vocabulary

logger = logging.getLogger(__name__)

TABLES = 8
"""Vocabularies that a segmenter keeps at hand."""


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
        description: ModelDescription | None = None,
    ) -> None:
        self.prompts = prompts or PromptConfig()
        self.inference = inference or InferenceConfig()
        self.method = method.merged(class_pooling=self.inference.class_pooling)
        self.cache = cache or TextCache()
        self.description = description
        self._table = lru_cache(maxsize=TABLES)(self._make_table)
        self._prepared: dict[Vocabulary, tuple[Tensor, Words]] = {}

    @classmethod
    def from_pretrained(
        cls,
        source: Path | str,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        device: torch.device | str = "cpu",
    ) -> Segmenter:
        """The segmenter in a model directory, with its own prompts and protocol unless others are given.

        `source` may also be a known checkpoint such as "cat-seg-vitb", or `owner/name` on the hub (`find_model`).

        Raises:
            CheckpointError: it is none of these, or cannot be downloaded or read.
        """
        description, method = load_model(find_model(source))
        return cls(
            method.to(device),
            prompts=prompts or description.prompts,
            inference=inference or description.inference,
            cache=cache,
            description=description,
        )

    def save_pretrained(self, directory: Path | str, *, reports: Sequence[Evaluated] = ()) -> Path:
        """Write a model directory with its card: this segmenter's prompts, its protocol, its method with tuning merged.

        The scores on the card are those of `reports` (`EvaluationReport`).

        Raises:
            CheckpointError: the segmenter was made of a method alone, so that its config is not known.
        """
        target = self._save(directory)
        write_card(target, reports)
        return target

    def push_to_hub(
        self,
        repository: str,
        *,
        reports: Sequence[Evaluated] = (),
        licence: str | None = None,
        private: bool | None = None,
        token: str | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes to `owner/name` on the hub; gives the address of the commit.

        Raises:
            CheckpointError: as `save_pretrained`, or the hub refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            directory = self._save(Path(folder) / "model")
            return push_to_hub(directory, repository, reports=reports, licence=licence, private=private, token=token)

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

    def segment_many(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], vocabulary: Vocabulary) -> list[Segmentation]:
        """The segmentations of several pictures; their views run together, `inference.batch` at a time."""
        table = self._table(vocabulary)
        found = predict_many(self.method, images, self._words(table), self.inference, row_class=table.row_class)
        return [
            Segmentation(image, _labels(one), one.scores.cpu().numpy(), vocabulary)
            for image, one in zip(images, found, strict=True)
        ]

    def predictor(self, vocabulary: Vocabulary) -> Callable[[UInt8[np.ndarray, "H W 3"]], Int32[np.ndarray, "H W"]]:
        """A function from pictures (RGB) to the index of the class of every pixel, for one vocabulary."""
        table = self._table(vocabulary)
        return lambda image: _labels(self._predict(image, table))

    def encode(self, vocabulary: Vocabulary) -> Float[Tensor, "t p d"]:
        """The text embeddings of a vocabulary, encoded now unless they are in the cache."""
        return self.cache.encode(self.method.backbone, self._table(vocabulary))

    def _save(self, directory: Path | str) -> Path:
        if self.description is None or not isinstance(self.method, Segmenting):
            raise CheckpointError(
                "this segmenter was made of a method alone and does not know its config; write the method with "
                "save_model(method, ModelDescription(method=config), directory)."
            )
        used = {"prompts": self.prompts, "inference": self.inference}
        return save_model(self.method, merged_description(self.description).model_copy(update=used), directory)

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
        return predict(self.method, image, self._words(table), self.inference, row_class=table.row_class)

    def _words(self, table: PromptTable) -> Words:
        """The words as the method reads them, prepared again only when their embeddings have changed."""
        text = self.cache.encode(self.method.backbone, table)
        known = self._prepared.get(table.vocabulary)
        if known is None or not torch.equal(known[0], text):
            with torch.inference_mode():
                known = (text, self.method.prepare(text))
            self._prepared = {**dict(list(self._prepared.items())[1 - TABLES :]), table.vocabulary: known}
        return known[1]


def _labels(prediction: Prediction) -> Int32[np.ndarray, "H W"]:
    labels: Int32[np.ndarray, "H W"] = prediction.labels.cpu().numpy()
    return labels
