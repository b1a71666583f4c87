"""Words and pictures in, a class for every pixel out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Unpack, overload

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from ahs_seg.checkpoints.card import Evaluated, write_card
from ahs_seg.checkpoints.hub import push_to_hub
from ahs_seg.checkpoints.model_dir import CheckpointError, ModelDescription, load_model, merged_description, save_model
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import SampleError
from ahs_seg.inference.many_images import (
    CallOptions,
    ImageIterator,
    Images,
    OnError,
    Raised,
    check_on_error,
    segment_each,
)
from ahs_seg.inference.predict import InferenceConfig, Prediction, frames_of, predict, predict_many
from ahs_seg.inference.results import OutputOptions, to_segmentation, with_unknown
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.tiling import TileConfig, TileMerger
from ahs_seg.inference.vocabulary_encoder import VocabularyEncoder
from ahs_seg.io.images import ImageSource
from ahs_seg.io.urls import read_source
from ahs_seg.methods import BaseMethodConfig, Method
from ahs_seg.output.calibration import Calibration, calibrate
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.tuners import TunerConfig
from ahs_seg.types import Words
from ahs_seg.vocabulary.lint import LintModel
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary


class Segmenter:
    """Segments pictures into classes named in plain words.

    Holds its own copy of the method, with the tuning merged: training on does not change it. Names are encoded once
    (see `TextCache`; give one with a directory to keep them between runs). Threads may share a segmenter.
    """

    def __init__(
        self,
        method: Method,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        description: ModelDescription | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.prompts = prompts or PromptConfig()
        self.inference = inference or InferenceConfig()
        self.method = method.for_inference(self.inference.options)
        self.cache = cache or TextCache()
        self.description = description
        self._encoder = VocabularyEncoder(self.prompts, self.cache, description.seen if description else lambda _: None)
        self.calibration = calibration

    @classmethod
    def from_pretrained(
        cls,
        source: Path | str,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        device: torch.device | str = "cpu",
        methods: Sequence[type[BaseMethodConfig]] = (),
        tuners: Sequence[type[TunerConfig]] = (),
    ) -> Segmenter:
        """The segmenter in a model directory, with its own prompts and protocol unless others are given.

        With others, its scores mean something else, so that its calibration is left out.
        `source` may also be a known checkpoint such as "cat-seg-vitb", or `owner/name` on the hub (`find_model`).
        `methods` and `tuners` are config classes of your own that the directory may name.

        Raises:
            CheckpointError: it is none of these, or cannot be downloaded or read.
        """
        description, method = load_model(find_model(source), methods=methods, tuners=tuners)
        prompts, inference = prompts or description.prompts, inference or description.inference
        same = prompts == description.prompts and inference == description.inference
        return cls(
            method.to(device),
            prompts=prompts,
            inference=inference,
            cache=cache,
            description=description,
            calibration=description.calibration if same else None,
        )

    def save_pretrained(self, directory: Path | str, *, reports: Sequence[Evaluated] = ()) -> Path:
        """Write a model directory with its card: this segmenter's prompts, its protocol, its method with tuning merged.

        The scores on the card are those of `reports` (`EvaluationReport`).

        Raises:
            CheckpointError: the segmenter was made of a method alone, so that its config is not known.
        """
        target = self._save(directory)
        write_card(target, reports, description=self._description())
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
            return push_to_hub(
                directory,
                repository,
                reports=reports,
                licence=licence,
                private=private,
                token=token,
                description=self._description(),
            )

    @overload
    def __call__(self, image: ImageSource, classes: ClassSource, **options: Unpack[CallOptions]) -> Segmentation: ...

    @overload
    def __call__(
        self, image: Images, classes: ClassSource, *, on_error: Raised = "raise", **options: Unpack[CallOptions]
    ) -> list[Segmentation]: ...

    @overload
    def __call__(
        self, image: Images, classes: ClassSource, *, on_error: Literal["return"], **options: Unpack[CallOptions]
    ) -> list[Segmentation | SampleError]: ...

    @overload
    def __call__(
        self, image: ImageIterator, classes: ClassSource, *, on_error: Raised = "raise", **options: Unpack[CallOptions]
    ) -> Iterator[Segmentation]: ...

    @overload
    def __call__(
        self, image: ImageIterator, classes: ClassSource, *, on_error: Literal["return"], **options: Unpack[CallOptions]
    ) -> Iterator[Segmentation | SampleError]: ...

    def __call__(
        self,
        image: ImageSource | Iterable[ImageSource],
        classes: ClassSource,
        *,
        background: Sequence[str] = (),
        top_k: int | None = None,
        unknown_below: float | None = None,
        return_logits: bool = False,
        on_error: OnError = "raise",
    ) -> Segmentation | Sequence[Segmentation | SampleError] | Iterator[Segmentation | SampleError]:
        """The segmentation of a picture (a file, an address, bytes, a PIL image, an array or a tensor) into `classes`.

        Of a list of images the list of results; of an iterator an iterator that works on one image at a time. If one
        of several images fails, its error is raised ("raise"), logged and the image left out ("skip"), or returned in
        place of its result ("return").

        Classes are given as `Vocabulary.parse` takes them: "cat, sofa, lamp", a list, a mapping of labels to names, a
        text file, or the name of a known vocabulary. `background` are words that together are a last class
        "background". `top_k` asks for that many classes per pixel, `return_logits` for the log-odds of all classes.
        Pixels whose calibrated confidence is below `unknown_below` get no class.

        Raises:
            VocabularyError: class names that cannot be used.
            TextTooLongError: a name that the text tower cannot read to its end.
            SampleError: an image cannot be read; of several images, its index and source are named.
            CalibrationError: `unknown_below` of a model without calibration.
        """
        vocabulary = Vocabulary.parse(classes)
        table = self._encoder.table(vocabulary.with_background(background) if background else vocabulary)
        request = OutputOptions(top_k, unknown_below, return_logits)
        request.check(self.calibration)
        self._words(table)
        if isinstance(image, ImageSource) or not isinstance(image, Iterable):
            check_on_error(on_error, single=True)
            return self._answer(image, table, request)
        check_on_error(on_error, single=False)
        outcomes = segment_each(image, lambda one: self._answer(one, table, request), on_error)
        return list(outcomes) if isinstance(image, Sequence) else outcomes

    def segment_many(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], vocabulary: Vocabulary) -> list[Segmentation]:
        """The segmentations of several pictures; their views run together, `inference.batch` at a time."""
        table = self._encoder.table(vocabulary)
        found = predict_many(self.method, images, self._words(table), self.inference, row_class=table.row_class)
        return [
            with_unknown(one, image, table, calibration=self.calibration, request=OutputOptions())
            for image, one in zip(images, found, strict=True)
        ]

    def tiled(self, vocabulary: Vocabulary, tiles: TileConfig | None = None) -> TileMerger:
        """What segments pictures of any size, tile by tile at their own resolution."""
        table, tiles = self._encoder.table(vocabulary), tiles or TileConfig()
        inference, words = self.inference, self._words(table)
        return TileMerger(self.method, words, table.row_class, tiles, inference.batch, inference.memory_bytes)

    def features(self, image: ImageSource, *, pooled: bool = False) -> Float[Tensor, " d *grid"]:
        """The image features of the backbone, aligned with text: a vector for every patch, or one for the picture.

        The picture is shown whole at the backbone's resolution. Not normalised; the cosine with `text_features` says
        how well words fit.
        """
        backbone = self.method.backbone
        frames = frames_of(read_source(image), InferenceConfig(), backbone)
        with torch.inference_mode():
            found = backbone.encode_resized(frames.pixels.to(self._device), pooled=pooled)
        return found.dense[0] if found.pooled is None else found.pooled[0]

    def text_features(self, classes: ClassSource) -> Float[Tensor, "t d"]:
        """A vector of length 1 for every class: the mean of its prompts and names."""
        return self._encoder.features(self.method, Vocabulary.parse(classes))

    def lint_model(self) -> LintModel:
        """What `lint_vocabulary` asks of a model."""
        trained = () if self.description is None else self.description.trained_on
        return self._encoder.lint_model(self.method, trained)

    def calibrate(self, dataset: SegmentationDataset, *, images: int | None = None) -> Calibration:
        """Count on labelled pictures how often a score is right, and use that from now on for confidences.

        With prompts, protocol and words like those of later calls. `save_pretrained` writes it along.

        Raises:
            CalibrationError: there was no labelled pixel.
        """
        table = self._encoder.table(dataset.vocabulary)

        def found(image: UInt8[np.ndarray, "H W 3"]) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
            prediction = self._predict(image, table)
            return _labels(prediction), prediction.scores.cpu().numpy()

        self.calibration = calibrate(found, dataset, images=images)
        return self.calibration

    def predictor(self, vocabulary: Vocabulary) -> Callable[[UInt8[np.ndarray, "H W 3"]], Int32[np.ndarray, "H W"]]:
        """A function from pictures (RGB) to the index of the class of every pixel, for one vocabulary."""
        table = self._encoder.table(vocabulary)
        return lambda image: _labels(self._predict(image, table))

    def encode(self, vocabulary: Vocabulary) -> Float[Tensor, "t p d"]:
        """The text embeddings of a vocabulary, encoded now unless they are in the cache."""
        return self._encoder.embeddings(self.method, vocabulary)

    def _save(self, directory: Path | str) -> Path:
        return save_model(self.method, self._description(), directory)

    def _description(self) -> ModelDescription:
        """What a model directory says about this segmenter."""
        if self.description is None:
            raise CheckpointError(
                "this segmenter was made of a method alone and does not know its config; write the method with "
                "save_model(method, ModelDescription(method=config), directory)."
            )
        used = {"prompts": self.prompts, "inference": self.inference, "calibration": self.calibration}
        return merged_description(self.description).replace(**used)

    def _words(self, table: PromptTable) -> Words:
        return self._encoder.words(self.method, table.vocabulary)

    def _answer(self, image: ImageSource, table: PromptTable, request: OutputOptions) -> Segmentation:
        pixels, words = read_source(image), self._words(table)
        return to_segmentation(
            self.method, pixels, words, table, self.inference, calibration=self.calibration, request=request
        )

    @property
    def _device(self) -> torch.device:
        return self.method.backbone.device

    def _predict(self, image: UInt8[np.ndarray, "H W 3"], table: PromptTable) -> Prediction:
        return predict(self.method, image, self._words(table), self.inference, row_class=table.row_class)


def _labels(prediction: Prediction) -> Int32[np.ndarray, "H W"]:
    labels: Int32[np.ndarray, "H W"] = prediction.labels.cpu().numpy()
    return labels
