"""A method ready for inference: its device and numeric type, features, text embeddings, predictions and tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from ahs_seg.config import ConfigError
from ahs_seg.inference.compiler import check_compiler
from ahs_seg.inference.predict import InferenceConfig, Prediction, frames_of, predict, predict_many
from ahs_seg.inference.results import OutputOptions, with_unknown
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.tiling import TileConfig, TileMerger
from ahs_seg.inference.vocabulary_encoder import VocabularyEncoder, not_known
from ahs_seg.io.devices import find_device
from ahs_seg.io.images import ImageSource
from ahs_seg.io.precision import check_precision, computing_in, find_dtype
from ahs_seg.io.urls import read_source
from ahs_seg.methods import Method
from ahs_seg.output.calibration import Calibration
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.types import Words
from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary

Model = TypeVar("Model", bound="InferenceModel")


class InferenceModel:
    """A copy of a method with its tuner merged, in evaluation mode, with prompts, protocol and text-embedding cache.

    `seen` returns for every class of a vocabulary whether it occurred in training (None: not known), `trained` are the
    names of the training classes. With `own` the method is used itself, not copied, and is changed; give one that
    nobody else holds, as it takes half of the memory. May be shared between threads, except while `to`, `optimize` or
    `with_seen` runs; pickling and `copy.deepcopy` give an independent one with equal results.
    """

    def __init__(
        self,
        method: Method,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        calibration: Calibration | None = None,
        seen: Callable[[Vocabulary], Sequence[bool] | None] = not_known,
        trained: Vocabulary | None = None,
        own: bool = False,
    ) -> None:
        self.prompts = prompts or PromptConfig()
        self.inference = inference or InferenceConfig()
        self.method = (method.become_inference if own else method.for_inference)(self.inference.options)
        self.optimize()
        self.cache = cache or TextCache()
        self.calibration = calibration
        self._encoder = VocabularyEncoder(self.prompts, self.cache, seen, trained)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.method.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of matrix products and convolutions; weights and results are float32 in any case."""
        return self.method.compute_dtype

    def to(
        self: Model,
        device: torch.device | torch.dtype | str | int | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> Model:
        """The same object, moved to a device, computing in a type, or both; a `torch.dtype` may also come first.

        Devices as in `from_pretrained`; types are fp32, bf16 and fp16. A call that runs in another thread must have
        ended. Text embeddings are kept.

        Raises:
            DeviceError: this machine has no such device.
            PrecisionError: no type has this name, or the device cannot compute in it.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        place = self.device if device is None else find_device(device)
        kind = self.dtype if dtype is None else find_dtype(dtype)
        check_precision(kind, place)
        self.method = self.method.to(place)
        self.method.compute_dtype = kind
        self._encoder = self._encoder.emptied()
        return self

    def with_seen(self: Model, seen: Mapping[str, bool]) -> Model:
        """The same object, told by label which classes occurred in training (True) and which did not (False).

        Classes that are not in the map are judged by their names, as without it. A calibration, which was measured with
        names alone, is dropped.

        Raises:
            ConfigError: the method treats seen and other classes alike.
            VocabularyError: a value is neither True nor False.
        """
        if not self.method.uses_seen:
            raise ConfigError(
                f"{type(self.method).__name__} treats classes seen in training and others alike; leave with_seen out"
            )
        self._encoder = self._encoder.told(seen)
        self.calibration = None
        return self

    def seen_identity(self, vocabulary: Vocabulary) -> dict[str, list[str] | None]:
        """What results depend on besides weights and settings (`VocabularyEncoder.seen_identity`)."""
        return self._encoder.seen_identity(self.method, vocabulary)

    def optimize(
        self: Model,
        enabled: bool = True,
        *,
        pack_all: bool = False,
        compile: bool = False,  # noqa: A002  # as in PyTorch
    ) -> Model:
        """The same object, with modules in their inference form; every new model has it, False undoes it.

        The forms join products and avoid copies (`Method.forms`). Their linear layers take packed weights where a test
        of their size, once per process, finds these faster and equal to 1e-4 (`modules.fused_linear`); for the cost
        family this adds at most 6 MB. With `pack_all` all other linear layers may be packed, too, which needs
        up to as much memory as their weights again. On devices other than CPUs, and with types other than fp32, the
        forms compute as the plain modules. With `compile` PyTorch compiles the plain modules at the first call
        instead, which takes minutes on a CPU and a C++ compiler; copies and pickles are not compiled.

        Scores differ from those of the plain modules by rounding, so that a pixel whose best classes are equal may have
        another label. A call in another thread must have ended.

        Raises:
            CompilerError: `compile`, and this machine has no C++ compiler.
        """
        if compile:
            check_compiler(self.device)
        self.method.undo_optimize()
        if enabled:
            self.method.optimize(pack_all=pack_all, compile=compile)
        return self

    def eval(self: Model) -> Model:
        """The same object: it is in evaluation mode at all times."""
        return self

    def segment_many(
        self, images: Sequence[ImageSource], vocabulary: ClassSource, unknown_below: float | None = None
    ) -> list[Segmentation]:
        """The segmentations of several images; their views run in batches of `inference.batch`."""
        table, request = self._encoder.table(Vocabulary.parse(vocabulary)), OutputOptions(unknown_below=unknown_below)
        request.check(self.calibration, probabilities=self.method.merging.softmax)
        pixels = [read_source(image) for image in images]
        found = predict_many(self.method, pixels, self._words(table), self.inference, row_class=table.row_class)
        pairs = zip(pixels, found, strict=True)
        return [with_unknown(one, image, table, calibration=self.calibration, request=request) for image, one in pairs]

    def tiled(self, vocabulary: ClassSource, tiles: TileConfig | None = None) -> TileMerger:
        """A `TileMerger` for this vocabulary, which segments images of any size tile by tile at full resolution.

        Raises:
            ConfigError: the method refines scores by the whole image.
        """
        table, tiles = self._encoder.table(Vocabulary.parse(vocabulary)), tiles or TileConfig()
        inference, words = self.inference, self._words(table)
        return TileMerger(self.method, words, table.row_class, tiles, inference.batch, inference.memory_bytes)

    def features(self, image: ImageSource, *, pooled: bool = False) -> Float[Tensor, " d *grid"]:
        """Patch features of the backbone in the joint image-text space, or one embedding of the image (`pooled`).

        The whole image is resized to the backbone's resolution. Not normalised; the cosine similarity with
        `text_features` says how well a class fits.
        """
        backbone = self.method.backbone
        frames = frames_of(read_source(image), InferenceConfig(), backbone)
        with torch.inference_mode(), computing_in(self.dtype, self.device):
            found = backbone.encode_resized(frames.pixels.to(backbone.device), pooled=pooled)
        return (found.dense[0] if found.pooled is None else found.pooled[0]).float()

    def text_features(self, classes: ClassSource) -> Float[Tensor, "t d"]:
        """One unit vector per class: the normalised mean of the text embeddings of its prompts and names."""
        return self._encoder.features(self.method, Vocabulary.parse(classes))

    def predictor(self, vocabulary: ClassSource) -> Callable[[ImageSource], Int32[np.ndarray, "H W"]]:
        """A function from images to the class index of every pixel, for one vocabulary."""
        table = self._encoder.table(Vocabulary.parse(vocabulary))
        return lambda image: labels_of(self._predict(image, table))

    def encode(self, vocabulary: ClassSource) -> Float[Tensor, "t p d"]:
        """Text embeddings of every prompt of every class name, encoded now unless they are in the cache."""
        return self._encoder.embeddings(self.method, Vocabulary.parse(vocabulary))

    def _words(self, table: PromptTable) -> Words:
        return self._encoder.words(self.method, table.vocabulary)

    def _predict(self, image: ImageSource, table: PromptTable) -> Prediction:
        pixels = read_source(image)
        return predict(self.method, pixels, self._words(table), self.inference, row_class=table.row_class)


def labels_of(prediction: Prediction) -> Int32[np.ndarray, "H W"]:
    """The labels of a prediction as an array."""
    labels: Int32[np.ndarray, "H W"] = prediction.labels.cpu().numpy()
    return labels
