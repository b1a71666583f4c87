"""What the page does, without the page: pictures, words and a model in, an answer to look at and to ask about out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8

from ahs_seg.demo.web.feature_cache import CachedMethod, TensorLRU, Times, TimeUpError
from ahs_seg.demo.web.limits import LimitError, Limits, ServeError
from ahs_seg.inference.predict import score_maps
from ahs_seg.io.images import read_image
from ahs_seg.output.formats import Format, open_format
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary

TOP: Final = 5
PROBED_PIXELS: Final = 1_000_000
"""Scores of larger pictures are looked up on a map reduced to about this size."""


@dataclass(frozen=True, eq=False)
class SessionResult:
    """A segmented picture: by which model, and in which time (None: it was known from before)."""

    result: Segmentation
    model: str
    times: Times
    source: Path = field(repr=False)


class Workbench:
    """The models of a page and what they computed. Threads may share it; one request computes at a time.

    `models` are functions that load a segmenter, by the name that visitors choose; each is called when first needed.
    """

    def __init__(self, models: Mapping[str, Callable[[], Segmenter]], limits: Limits | None = None) -> None:
        if not models:
            raise ServeError("no model to serve; name at least one")
        self.limits = limits or Limits()
        self._models = dict(models)
        self._loaded: dict[str, tuple[Segmenter, CachedMethod]] = {}
        self._store = TensorLRU()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="segment")

    @property
    def models(self) -> list[str]:
        """The names of the models; the first is the one to begin with."""
        return list(self._models)

    def ready(self) -> None:
        """Load the model to begin with, so that what is wrong with it shows at once.

        Raises:
            CheckpointError: it cannot be read.
        """
        self._worker.submit(self._load, self.models[0]).result()

    def segment(self, picture: Path, words: str, model: str) -> SessionResult:
        """The answer for a picture file.

        Raises:
            LimitError: more than the limits allow, or longer than a request may take.
            VocabularyError: words that cannot be used.
            TextTooLongError: a name that the text tower cannot read to its end.
            ImageError: a file that is not a picture.
        """
        vocabulary = self.limits.vocabulary(words)
        self.limits.check_file(picture)
        pixels = read_image(picture, max_pixels=self.limits.pixels)
        self.limits.check_pixels(*pixels.shape[:2])
        self._worker.submit(self._load, model).result()  # takes none of the request's time
        deadline = time.monotonic() + self.limits.seconds
        work = self._worker.submit(self._segment, pixels, vocabulary, model, deadline)
        try:
            result, times = work.result(timeout=self.limits.seconds)
        except (TimeoutError, TimeUpError):  # what still runs stops before its next step
            raise self._too_slow(pixels.shape[1], pixels.shape[0], len(vocabulary)) from None
        return SessionResult(result, model, times, picture)

    def scores_at(self, answer: SessionResult, row: int, column: int) -> list[tuple[str, float]]:
        """The classes with the highest scores at a pixel of an answer, best first, at most five."""
        height, width = answer.result.labels.shape
        if not (0 <= row < height and 0 <= column < width):
            raise LimitError(f"Pixel ({column}, {row}) lies outside of the picture of {width} x {height} pixels.")
        return self._worker.submit(self._top, answer, row, column).result()

    def export(self, answer: SessionResult, name: Format, folder: Path) -> Path:
        """The answer in an output format: its one file, or a zip of them."""
        with tempfile.TemporaryDirectory() as workplace:
            exporter = open_format(name, Path(workplace), answer.result.vocabulary)
            exporter.start()
            exporter.add(ExportItem(Path(answer.source.stem), answer.result, answer.source))
            exporter.finish()
            files = sorted(file for file in Path(workplace).rglob("*") if _is_result(file, Path(workplace)))
            target = folder / f"{answer.source.stem}-{name}"
            if len(files) == 1:
                return Path(shutil.copy(files[0], target.with_name(target.name + files[0].suffix)))
            return Path(shutil.make_archive(str(target), "zip", workplace))

    def _segment(
        self, pixels: UInt8[np.ndarray, "H W 3"], vocabulary: Vocabulary, model: str, deadline: float
    ) -> tuple[Segmentation, Times]:
        segmenter, method = self._load(model)
        with method.timed(deadline=deadline) as times:
            return segmenter(pixels, vocabulary), times

    def _load(self, model: str) -> tuple[Segmenter, CachedMethod]:
        if model not in self._models:
            raise LimitError(f"There is no model {model!r} here; choose one of {', '.join(self.models)}.")
        if model not in self._loaded:
            segmenter = self._models[model]()
            method = CachedMethod(segmenter.method, self._store, name=model)
            segmenter.method = method
            self._loaded[model] = segmenter, method
        return self._loaded[model]

    @torch.inference_mode()
    def _top(self, answer: SessionResult, row: int, column: int) -> list[tuple[str, float]]:
        """Scores of all rows of the text at a pixel; a class has the score of its best row."""
        segmenter, method = self._load(answer.model)
        result, words = answer.result, answer.times.words
        assert words is not None, "a method was asked"
        vocabulary = result.vocabulary
        height, width = result.labels.shape
        scale = min(1.0, (PROBED_PIXELS / (height * width)) ** 0.5)
        size = max(1, int(height * scale)), max(1, int(width * scale))
        _, maps = score_maps(method, result.image, words, segmenter.inference, size=size)
        row_class = segmenter.prompts.table(vocabulary).row_class
        best = [0.0] * len(vocabulary)
        place = (slice(None), row * size[0] // height, column * size[1] // width)
        for rows in torch.arange(len(words)).split(max(1, segmenter.inference.memory_bytes // maps.row_bytes)):
            values = maps(rows)[place].tolist()
            for index, value in zip(rows.tolist(), values, strict=True):
                best[row_class[index]] = max(best[row_class[index]], value)
        ranked = sorted(range(len(best)), key=lambda index: -best[index])[:TOP]
        return [(vocabulary.labels[index], best[index]) for index in ranked]

    def _too_slow(self, width: int, height: int, names: int) -> LimitError:
        return LimitError(
            f"{names} words on {width} x {height} pixels took longer than {self.limits.seconds} seconds, the most this "
            "page spends on a request. Use fewer words or a smaller picture."
        )


def _is_result(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
