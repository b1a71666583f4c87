"""The page's segmentation service without user interface: runs models, probes scores and exports results."""

from __future__ import annotations

import copy
import secrets
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.demo.web.feature_cache import ByteLRU, CachedMethod, Times, TimeUpError
from ahs_seg.demo.web.limits import LimitError, Limits, ServeError
from ahs_seg.inference.predict import score_maps
from ahs_seg.io.images import read_image
from ahs_seg.output.calibration import CalibrationError
from ahs_seg.output.formats import FORMATS, Format, open_format
from ahs_seg.output.formats.base import ExportItem, FormatError
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.notices import collected_notices
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary

DOWNLOADS: Final = tuple(name for name in FORMATS if name != "video")
"""Formats of downloads; a film needs a video."""
TOP: Final = 5
PROBED_PIXELS: Final = 1_000_000
"""Scores of larger images are probed on score maps downsampled to about this many pixels."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor typed: class names, names of everything else, and the least confidence of a class (0: any)."""

    words: str = ""
    background: str = ""
    unknown_below: float = 0.0


@dataclass(frozen=True, eq=False)
class SessionResult:
    """A segmented image with the model, the computing times and the path of the uploaded file.

    `asked` is what it answers, `notes` say which words were left out, `notices` what else there is to know about the
    words, and `name` tells it from other results.
    """

    result: Segmentation
    model: str
    times: Times
    source: Path = field(repr=False)
    asked: Asked = Asked()
    notes: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    name: str = field(default_factory=lambda: secrets.token_hex(8))


class Workbench:
    """Models of a page with their cached features; thread-safe, one request is computed at a time.

    `models` maps display names to functions that load a segmenter; each is called at the first request for it.
    """

    def __init__(self, models: Mapping[str, Callable[[], Segmenter]], limits: Limits | None = None) -> None:
        if not models:
            raise ServeError("no model to serve; name at least one")
        self.limits = limits or Limits()
        self._models = dict(models)
        self._loaded: dict[str, tuple[Segmenter, CachedMethod]] = {}
        self._store = ByteLRU()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="segment")

    @property
    def models(self) -> list[str]:
        """Names of the models; the first is the default."""
        return list(self._models)

    def ready(self) -> None:
        """Load the default model, so that errors in it are reported at start.

        Raises:
            CheckpointError: the model cannot be read.
        """
        self._worker.submit(self._load, self.models[0]).result()

    def segment(
        self, image: Path, words: str, model: str, *, background: str = "", unknown_below: float = 0.0
    ) -> SessionResult:
        """Segment an image file; a word that is too long for the page or for the model is left out, with a note.

        `background` are names that together form a last class, and pixels with a confidence below `unknown_below` get
        no class, as in `Segmenter.__call__`.

        Raises:
            LimitError: the request exceeds the limits of size or time, or the model knows no confidence.
            VocabularyError: the class names are not a valid vocabulary.
            TextTooLongError: every name has more tokens than the text tower takes.
            ImageError: the file is not a readable image.
        """
        with collected_notices() as notices:
            vocabulary, notes = self.limits.words(words)
        if others := self.limits.background(background):
            vocabulary = vocabulary.with_background(others)
        self.limits.check_file(image)
        began = time.monotonic()
        pixels = read_image(image, max_pixels=self.limits.pixels)
        self.limits.check_pixels(*pixels.shape[:2])
        left = self.limits.seconds - (time.monotonic() - began)
        loaded = threading.Event()  # from then on the limit counts: waiting for the worker and loading do not
        work = self._worker.submit(self._segment, loaded, pixels, vocabulary, model, left, unknown_below or None)
        loaded.wait()
        try:
            result, times, long, told = work.result(timeout=max(0.0, left))
        except (TimeoutError, TimeUpError):  # the running work stops before its next step
            raise self._too_slow(pixels.shape[1], pixels.shape[0], len(vocabulary)) from None
        except CalibrationError:
            raise LimitError(
                f"The confidences of the model {model!r} are not known, since it has no calibration: set “Unknown "
                "below” to 0, or choose another model."
            ) from None
        asked = Asked(words, background, unknown_below)
        return SessionResult(result, model, times, image, asked, (*notes, *long), (*notices, *told))

    def scores_at(self, answer: SessionResult, row: int, column: int) -> list[tuple[str, float]]:
        """The at most five classes with the highest scores at a pixel of a result, best first."""
        height, width = answer.result.labels.shape
        if not (0 <= row < height and 0 <= column < width):
            raise LimitError(f"Pixel ({column}, {row}) is outside of the image of {width} x {height} pixels.")
        return self._worker.submit(self._top, answer, row, column).result()

    def export(self, answer: SessionResult, name: Format, folder: Path) -> Path:
        """Write a result in an output format and return the path: a single file, or a zip of several.

        Raises:
            FormatError: the format has no file for an image, or cannot store this one.
        """
        with tempfile.TemporaryDirectory(dir=folder.parent) as workplace:
            exporter = open_format(name, Path(workplace), answer.result.vocabulary)
            exporter.start()
            exporter.add(ExportItem(Path(answer.source.stem), answer.result, answer.source))
            exporter.finish()
            files = sorted(file for file in Path(workplace).rglob("*") if _is_result(file, Path(workplace)))
            if not files:
                raise FormatError(
                    f"The format {name!r} has no file for an image; choose one of {', '.join(DOWNLOADS)}."
                )
            target = folder / f"{answer.source.stem}-{name}"
            if len(files) == 1:
                return Path(shutil.copy(files[0], target.with_name(target.name + files[0].suffix)))
            packed = target.with_name(target.name + ".zip")
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files:
                    archive.write(file, file.relative_to(workplace))
            return packed

    def _segment(
        self,
        loaded: threading.Event,
        pixels: UInt8[np.ndarray, "H W 3"],
        vocabulary: Vocabulary,
        model: str,
        seconds: float,
        unknown_below: float | None,
    ) -> tuple[Segmentation, Times, list[str], list[str]]:
        """The result and its times, a note about each word that is too long, and what is to know about the others.

        `loaded` is set once the model is loaded; from then on the work takes at most `seconds`.
        """
        try:
            segmenter, method = self._load(model)
        finally:
            deadline = time.monotonic() + seconds
            loaded.set()

        def answer(words: Vocabulary) -> tuple[Segmentation, list[str]]:
            with collected_notices() as told:
                return segmenter(pixels, words, unknown_below=unknown_below), told

        with method.timed(deadline=deadline) as times:
            try:
                result, told = answer(vocabulary)
                return result, times, [], told
            except TextTooLongError:
                known = readable(segmenter, vocabulary)
                if not known:
                    raise
                notes = [
                    f"{entry.label[:24]!r} … has more tokens than the text encoder of {model} takes."
                    for entry in vocabulary.entries
                    if entry not in known
                ]
                result, told = answer(Vocabulary(tuple(known)))
                return result, times, notes, told

    def _load(self, model: str) -> tuple[Segmenter, CachedMethod]:
        if model not in self._models:
            raise LimitError(f"There is no model {model!r} here; choose one of {', '.join(self.models)}.")
        if model not in self._loaded:
            segmenter = copy.copy(self._models[model]())  # the caller's keeps its method
            method = CachedMethod(segmenter.method, self._store, name=model)
            segmenter.method = method
            self._loaded[model] = segmenter, method
        return self._loaded[model]

    @torch.inference_mode()
    def _top(self, answer: SessionResult, row: int, column: int) -> list[tuple[str, float]]:
        """Highest class scores at a pixel; the score of a class is the maximum over its prompt rows."""
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
        count = max(1, segmenter.inference.memory_bytes // maps.row_bytes)
        for rows in torch.arange(len(words), device=words.device).split(count):
            values = maps(rows)[place].tolist()
            for index, value in zip(rows.tolist(), values, strict=True):
                best[row_class[index]] = max(best[row_class[index]], value)
        ranked = sorted(range(len(best)), key=lambda index: -best[index])[:TOP]
        return [(vocabulary.labels[index], best[index]) for index in ranked]

    def _too_slow(self, width: int, height: int, names: int) -> LimitError:
        return LimitError(
            f"{names} classes on {width} x {height} pixels took longer than {self.limits.seconds} seconds, the most "
            "this page spends on a request. Use fewer classes or a smaller image."
        )


def readable(segmenter: Segmenter, vocabulary: Vocabulary) -> list[ClassName]:
    """The classes of a vocabulary that are not too long for the text tower of a model."""
    table, long = segmenter.prompts.table(vocabulary), set()
    for row, index in zip(table.cells, table.row_class, strict=True):
        try:
            segmenter.method.backbone.tokenizer([text for cell in row for text in cell])
        except TextTooLongError:
            long.add(index)
    return [entry for index, entry in enumerate(vocabulary.entries) if index not in long]


def _is_result(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
