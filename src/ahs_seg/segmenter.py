"""`Segmenter`: a class for every pixel of an image, from class names in plain words."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack, overload

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from ahs_seg.checkpoints.card import Evaluated, write_card
from ahs_seg.checkpoints.hub import push_to_hub
from ahs_seg.checkpoints.model_dir import ModelDescription, load_model, merged_description, save_model
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import CheckpointError, SampleError
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
from ahs_seg.io.devices import find_device
from ahs_seg.io.images import ImageSource
from ahs_seg.io.urls import file_of, read_source
from ahs_seg.methods import BaseMethodConfig, Method
from ahs_seg.output.calibration import Calibration, calibrate
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.tuners import TunerConfig
from ahs_seg.types import Words
from ahs_seg.vocabulary.lint import LintModel
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary


class Segmenter:
    """Segments images into classes named in plain words.

    Has its own copy of the method with the tuner merged, so that further training does not change it. Text embeddings
    are computed once (`TextCache`; with a directory they are kept between runs). May be shared between threads.
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
        """The segmenter of a model directory, with its saved prompts and protocol unless others are given.

        Other prompts or another protocol change the scores, so that the saved calibration is dropped.
        `source` may also be a known checkpoint such as "cat-seg-vitb", or `owner/name` on the hub (`find_model`).
        `methods` and `tuners` are your own config classes that the directory may name.

        Raises:
            DeviceError: this machine has no such device.
            CheckpointError: `source` is none of these, or cannot be downloaded or read.
        """
        place = find_device(device)
        description, method = load_model(find_model(source), methods=methods, tuners=tuners)
        prompts, inference = prompts or description.prompts, inference or description.inference
        same = prompts == description.prompts and inference == description.inference
        return cls(
            method.to(place),
            prompts=prompts,
            inference=inference,
            cache=cache,
            description=description,
            calibration=description.calibration if same else None,
        )

    def save_pretrained(self, directory: Path | str, *, reports: Sequence[Evaluated] = ()) -> Path:
        """Write a model directory: the method with the tuner merged, prompts, protocol, calibration and a model card.

        The scores on the card are those of `reports` (`EvaluationReport`).

        Raises:
            CheckpointError: the segmenter was created from a method without a description, so its config is unknown.
        """
        target = save_model(self.method, self._description(), directory)
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
        """Upload the model directory to `owner/name` on the hub and return the URL of the commit.

        Raises:
            CheckpointError: as `save_pretrained`, or the hub refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            directory = save_model(self.method, self._description(), Path(folder) / "model")
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
        """The segmentation of an image (a path, a URL, bytes, a PIL image, an array or a tensor) into `classes`.

        A list of images gives a list of results, an iterator gives an iterator that loads one image at a time. If one
        of several images fails, its error is raised ("raise"), logged and the image skipped ("skip"), or returned in
        place of its result ("return").

        `classes` are those of `Vocabulary.parse`: "cat, sofa, lamp", a list, a mapping of labels to names, a text file,
        or the name of a known vocabulary. `background` are names that together form a last class "background".
        With `top_k` the result has that many classes per pixel, with `return_logits` the log-odds of all classes.
        Pixels with a calibrated confidence (`zero_shot`: score) below `unknown_below` get no class.

        Raises:
            VocabularyError: the class names are not valid.
            TextTooLongError: a name has too many tokens for the text tower.
            SampleError: an image cannot be read; for one of several images, the message has its index and source.
            CalibrationError: `unknown_below` is set, but the model has no calibration.
        """
        vocabulary = Vocabulary.parse(classes)
        table = self._encoder.table(vocabulary.with_background(background) if background else vocabulary)
        request = OutputOptions(top_k, unknown_below, return_logits)
        request.check(self.calibration, probabilities=self.method.merging.softmax)
        self._words(table)
        if isinstance(image, ImageSource) or not isinstance(image, Iterable):
            check_on_error(on_error, single=True)
            return self._answer(image, table, request)
        check_on_error(on_error, single=False)
        outcomes = segment_each(image, lambda one: self._answer(one, table, request), on_error)
        return list(outcomes) if isinstance(image, Sequence) else outcomes

    def segment_many(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], vocabulary: Vocabulary, unknown_below: float | None = None
    ) -> list[Segmentation]:
        """The segmentations of several images; their views run in batches of `inference.batch`."""
        table, request = self._encoder.table(vocabulary), OutputOptions(unknown_below=unknown_below)
        request.check(self.calibration, probabilities=self.method.merging.softmax)
        found = predict_many(self.method, images, self._words(table), self.inference, row_class=table.row_class)
        pairs = zip(images, found, strict=True)
        return [with_unknown(one, image, table, calibration=self.calibration, request=request) for image, one in pairs]

    def tiled(self, vocabulary: Vocabulary, tiles: TileConfig | None = None) -> TileMerger:
        """A `TileMerger` for this vocabulary, which segments images of any size tile by tile at full resolution."""
        table, tiles = self._encoder.table(vocabulary), tiles or TileConfig()
        inference, words = self.inference, self._words(table)
        return TileMerger(self.method, words, table.row_class, tiles, inference.batch, inference.memory_bytes)

    def features(self, image: ImageSource, *, pooled: bool = False) -> Float[Tensor, " d *grid"]:
        """Patch features of the backbone in the joint image-text space, or one embedding of the image (`pooled`).

        The whole image is resized to the backbone's resolution. Not normalised; the cosine similarity with
        `text_features` says how well a class fits.
        """
        backbone = self.method.backbone
        frames = frames_of(read_source(image), InferenceConfig(), backbone)
        with torch.inference_mode():
            found = backbone.encode_resized(frames.pixels.to(backbone.device), pooled=pooled)
        return found.dense[0] if found.pooled is None else found.pooled[0]

    def text_features(self, classes: ClassSource) -> Float[Tensor, "t d"]:
        """One unit vector per class: the normalised mean of the text embeddings of its prompts and names."""
        return self._encoder.features(self.method, Vocabulary.parse(classes))

    def lint_model(self) -> LintModel:
        """The functions and data of this model that `lint_vocabulary` needs."""
        trained = () if self.description is None else self.description.trained_on
        return self._encoder.lint_model(self.method, trained)

    def calibrate(self, dataset: SegmentationDataset, *, images: int | None = None) -> Calibration:
        """Measure on labelled images how often each score is correct, and use this calibration for confidences.

        Use the prompts, protocol and kind of class names of later calls. `save_pretrained` saves the calibration.

        Raises:
            CalibrationError: the dataset has no labelled pixel.
        """
        table = self._encoder.table(dataset.vocabulary)

        def found(image: UInt8[np.ndarray, "H W 3"]) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
            prediction = self._predict(image, table)
            return _labels(prediction), prediction.scores.cpu().numpy()

        self.calibration = calibrate(found, dataset, images=images)
        return self.calibration

    def predictor(self, vocabulary: Vocabulary) -> Callable[[UInt8[np.ndarray, "H W 3"]], Int32[np.ndarray, "H W"]]:
        """A function from RGB images to the class index of every pixel, for one vocabulary."""
        table = self._encoder.table(vocabulary)
        return lambda image: _labels(self._predict(image, table))

    def encode(self, vocabulary: Vocabulary) -> Float[Tensor, "t p d"]:
        """Text embeddings of every prompt of every class name, encoded now unless they are in the cache."""
        return self._encoder.embeddings(self.method, vocabulary)

    def _description(self) -> ModelDescription:
        """The description of this segmenter for a model directory."""
        if self.description is None:
            raise CheckpointError(
                "this segmenter was created from a method alone and has no config; write the method with "
                "save_model(method, ModelDescription(method=config), directory)."
            )
        used = {"prompts": self.prompts, "inference": self.inference, "calibration": self.calibration}
        return merged_description(self.description).replace(**used)

    def _words(self, table: PromptTable) -> Words:
        return self._encoder.words(self.method, table.vocabulary)

    def _answer(self, image: ImageSource, table: PromptTable, request: OutputOptions) -> Segmentation:
        pixels, words = read_source(image), self._words(table)
        found = to_segmentation(
            self.method, pixels, words, table, self.inference, calibration=self.calibration, request=request
        )
        return replace(found, source=file_of(image))

    def _predict(self, image: UInt8[np.ndarray, "H W 3"], table: PromptTable) -> Prediction:
        return predict(self.method, image, self._words(table), self.inference, row_class=table.row_class)


def _labels(prediction: Prediction) -> Int32[np.ndarray, "H W"]:
    labels: Int32[np.ndarray, "H W"] = prediction.labels.cpu().numpy()
    return labels
