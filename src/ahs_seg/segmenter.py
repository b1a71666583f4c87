"""`Segmenter`: a class for every pixel of an image, from class names in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Unpack, overload

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8

from ahs_seg.checkpoints.described import DescribedModel
from ahs_seg.checkpoints.exporting.load import place_of, with_runtime
from ahs_seg.checkpoints.known import DEFAULT_MODEL
from ahs_seg.checkpoints.zoo import open_model
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import SampleError
from ahs_seg.inference.many_images import (
    CallOptions,
    ImageIterator,
    Images,
    OnError,
    Raised,
    check_batch_size,
    check_on_error,
    segment_each,
)
from ahs_seg.inference.model import labels_of
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.results import OutputOptions, to_segmentations
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.cores import use_threads
from ahs_seg.io.extras import Runtime
from ahs_seg.io.image_sets import images_of
from ahs_seg.io.images import ImageSource
from ahs_seg.io.precision import find_dtype
from ahs_seg.io.urls import file_of, read_source
from ahs_seg.methods import BaseMethodConfig
from ahs_seg.output.calibration import Calibration, calibrate
from ahs_seg.output.familiarity import certainty, doubts
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.tuners import TunerConfig
from ahs_seg.vocabulary.lint import LintModel
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary, warn_of_single_class


class Segmenter(DescribedModel):
    """Segments images into classes named in plain words.

    Has its own copy of the method with the tuner merged, so that further training does not change it; with `own`, the
    method itself. Text embeddings are computed once (`TextCache`). May be shared between threads.
    """

    @classmethod
    def from_pretrained(
        cls,
        source: Path | str = DEFAULT_MODEL,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        device: torch.device | str | int = "auto",
        dtype: torch.dtype | str = "fp32",
        compile: bool = False,  # noqa: A002  # as in PyTorch
        threads: int | None = None,
        runtime: Runtime = "torch",
        methods: Sequence[type[BaseMethodConfig]] = (),
        tuners: Sequence[type[TunerConfig]] = (),
    ) -> Segmenter:
        """The segmenter of a model directory, with its saved prompts and protocol unless others are given.

        Other prompts or another protocol change the scores, so that the saved calibration is dropped.
        `source` may also be a run that holds one, a known checkpoint, which is downloaded once (the default is the
        published CAT-Seg on ViT-B/16), `owner/name` on the hub, or `clip:owner/name` (`checkpoints.zoo.open_model`).
        `device` is "auto" (a CUDA GPU if there is one, else the CPU), "cpu", "cuda:1" or 1 for one of several GPUs,
        "mps" or "xpu". With `dtype` "bf16" or "fp16" matrix products are computed in it, and no weights or scores. With
        `compile` PyTorch compiles the model at the first call (`optimize`). `threads` is the number that computes in
        this process (`io.cores.use_threads`). With `runtime` "onnxruntime" or "openvino" the graphs that `export` has
        written into the directory run in place of PyTorch, on the CPU in fp32. Text embeddings are kept on disk
        (`TextCache.shared`) unless `cache` is given. `methods` and `tuners` are classes that the directory may name.

        Raises:
            DeviceError, ThreadsError: this machine has no such device, or cannot have so many threads.
            PrecisionError: no type has this name, or the device cannot compute in it.
            CheckpointError: `source` is none of these, or cannot be downloaded or read, or has no such graphs.
        """
        place, kind, _ = place_of(runtime, device), find_dtype(dtype), use_threads(threads)
        description, method = open_model(source, methods=methods, tuners=tuners)
        method = with_runtime(method, source, runtime)
        prompts, inference = prompts or description.prompts, inference or description.inference
        same = prompts == description.prompts and inference.identity == description.inference.identity
        told = description if same else description.uncalibrated()
        segmenter = cls(
            method.to(place),
            prompts=prompts,
            inference=inference,
            cache=cache or TextCache.shared(),
            description=told,
            calibration=told.calibration,
            own=True,
        )
        segmenter.to(dtype=kind)
        return segmenter.optimize(compile=True) if compile else segmenter

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
        batch_size: int = 1,
    ) -> Segmentation | Sequence[Segmentation | SampleError] | Iterator[Segmentation | SampleError]:
        """The segmentation of an image into `classes`; `segment` is another name of this call.

        An image is a path, a URL, bytes, an open file, a PIL image, an array or a tensor. A list of images, a folder, a
        pattern such as "photos/*.jpg" and a batch (an array or tensor with four axes) give a list of results; an
        iterator gives an iterator that loads `batch_size` images at a time. So many images run through the method
        together; with `top_k` or `return_logits` it is always one. If one of several images fails, its error is raised
        ("raise"), logged and the image skipped ("skip"), or returned in place of its result ("return").

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
        warn_of_single_class(table.vocabulary)
        request = OutputOptions(top_k, unknown_below, return_logits)
        request.check(self.calibration, probabilities=self.method.merging.softmax)
        check_batch_size(batch_size)
        self._words(table)
        several = images_of(image) if isinstance(image, ImageSource) else image
        if not isinstance(several, Iterable):
            check_on_error(on_error, single=True)
            return self._answers([self._read(image)], table, request)[0]
        check_on_error(on_error, single=False)
        outcomes = segment_each(
            several, self._read, lambda some: self._answers(some, table, request), on_error, batch_size=batch_size
        )
        return list(outcomes) if isinstance(several, Sequence) else outcomes

    segment = __call__

    def segment_many(
        self, images: Sequence[ImageSource], vocabulary: ClassSource, unknown_below: float | None = None
    ) -> list[Segmentation]:
        """The segmentations of several images; their views run in batches of `inference.batch`."""
        return [self._judged(one) for one in super().segment_many(images, vocabulary, unknown_below)]

    def lint_model(self) -> LintModel:
        """The functions and data of this model that `lint_vocabulary` needs."""
        trained = () if self.description is None else self.description.trained_on
        return self._encoder.lint_model(self.method, trained)

    def calibrate(self, dataset: SegmentationDataset, *, images: int | None = None) -> Calibration:
        """Measure on labelled images how often each score is correct, and use this calibration for confidences.

        Use the prompts, protocol and kind of class names of later calls. `save_pretrained` saves the calibration, and
        how certain the model was (`output.familiarity`): results that are less certain have a warning.

        Raises:
            CalibrationError: the dataset has no labelled pixel.
        """
        table = self._encoder.table(dataset.vocabulary)
        reached: list[float] = []

        def found(image: UInt8[np.ndarray, "H W 3"]) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
            prediction = self._predict(image, table)
            scores = prediction.scores.cpu().numpy()
            reached.append(certainty(scores))
            return labels_of(prediction), scores

        self.calibration = calibrate(found, dataset, images=images)
        self.description = None if self.description is None else self.description.at_home(reached)
        return self.calibration

    def _read(self, image: Any) -> tuple[Path | None, UInt8[np.ndarray, "H W 3"]]:
        return file_of(image), read_source(image)

    def _answers(
        self,
        some: Sequence[tuple[Path | None, UInt8[np.ndarray, "_ _ 3"]]],
        table: PromptTable,
        request: OutputOptions,
    ) -> list[Segmentation]:
        pixels, words = [image for _, image in some], self._words(table)
        found = to_segmentations(
            self.method, pixels, words, table, self.inference, calibration=self.calibration, request=request
        )
        return [replace(self._judged(one), source=file) for one, (file, _) in zip(found, some, strict=True)]

    def _judged(self, result: Segmentation) -> Segmentation:
        """The result with warnings if the model is out of its depth."""
        return replace(result, warnings=self.doubts(certainty(result.scores), len(result.vocabulary)))

    def doubts(self, reached: float, classes: int) -> tuple[str, ...]:
        """Warnings about a result of this model for `classes` classes whose mean score (`certainty`) is `reached`."""
        return doubts(reached, classes, None if self.description is None else self.description.origin)
