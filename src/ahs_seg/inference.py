"""A picture and words in, a class and a score for every pixel out: the whole picture at once, or sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from PIL import Image
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import Config
from ahs_seg.merging import (
    ScoreMaps,
    View,
    WholeScores,
    WindowScores,
    best_rows,
    candidates,
    contenders,
    resize_maps,
)
from ahs_seg.types import Output, Words

WORKING_SIDE: Final = 5 / 3
"""Side at which pictures are worked on, in units of the backbone's resolution; CAT-Seg's 640 for 384."""


@runtime_checkable
class Method(Protocol):
    """What inference needs of a method."""

    backbone: ClipBackbone

    def __call__(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """Logits of every row of the text."""

    def prepare(self, text: Float[Tensor, "t p d"]) -> Words:
        """The words as the method reads them."""

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores in [0, 1], for each number by itself."""


class WholeImage(Config):
    """One view of the whole picture.

    CAT-Seg pads to multiples of 32 and stretches the padded frame over the picture, up to 31 pixels off the mark.
    `pad_multiple=32` reproduces that; 1 does not pad, which is right, as the method resizes the picture anyway.
    """

    name: Literal["whole"] = "whole"
    pad_multiple: PositiveInt = 1

    @property
    def title(self) -> str:
        """Part of the protocol's name."""
        return "whole image" if self.pad_multiple == 1 else f"whole image padded to multiples of {self.pad_multiple}"


class SlidingWindows(Config):
    """Windows of `kernel` pixels over the picture resized to a square of `side`, averaged with a view of all of it.

    Without sizes they follow the backbone's resolution in the proportions of CAT-Seg, which are 640 and 384.
    Windows step by `int(kernel * (1 - overlap))`; the last one ends at the border.
    """

    name: Literal["sliding"] = "sliding"
    side: PositiveInt | None = None
    kernel: PositiveInt | None = None
    overlap: float = Field(default=0.333, ge=0, lt=1)
    global_view: bool = True

    @model_validator(mode="after")
    def _check_sizes(self) -> SlidingWindows:
        if self.side is not None and self.kernel is not None and self.kernel > self.side:
            raise ValueError(f"kernel {self.kernel} is larger than side {self.side}; it must fit into the square")
        return self

    @property
    def title(self) -> str:
        """Part of the protocol's name."""
        sizes = f" of {self.kernel} on {self.side}" if self.kernel and self.side else ""
        return f"windows{sizes}, overlap {self.overlap:g}" + ", with global view" * self.global_view

    def grid(self, resolution: int, size: tuple[int, int] = (1, 1)) -> WindowGrid:  # noqa: ARG002  # a square for all
        """The windows for a backbone of this resolution."""
        kernel = self.kernel or resolution
        side = self.side or max(kernel, round(resolution * WORKING_SIDE))
        kernel = min(kernel, side)
        step = max(1, int(kernel * (1 - self.overlap)))
        places = _places(side, kernel, step)
        return WindowGrid((side, side), (kernel, kernel), [(top, left) for top in places for left in places])


class PictureWindows(Config):
    """Square windows over the picture in its own proportions; logits are averaged, then scored.

    A side shorter than `kernel` is one window; the last ends at the border. Source: MMSegmentation, `slide` mode,
    as in SCLIP (Wang et al., ECCV 2024) and the training-free methods after it, where these are the sizes.
    """

    name: Literal["picture_windows"] = "picture_windows"
    kernel: PositiveInt = 224
    stride: PositiveInt = 112
    global_view: Literal[False] = False

    @property
    def title(self) -> str:
        """Part of the protocol's name."""
        return f"windows of {self.kernel} on the picture, stride {self.stride}, scored after merging"

    def grid(self, resolution: int, size: tuple[int, int]) -> WindowGrid:  # noqa: ARG002  # the method resizes windows
        """The windows for a picture of this size."""
        height, width = (min(self.kernel, side) for side in size)
        rows, columns = (_places(side, min(self.kernel, side), self.stride) for side in size)
        return WindowGrid(size, (height, width), [(top, left) for top in rows for left in columns])


def _places(side: int, kernel: int, step: int) -> list[int]:
    return [*range(0, side - kernel, step), side - kernel]


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows of one size on a canvas, row by row, by their top left corners."""

    canvas: tuple[int, int]
    window: tuple[int, int]
    corners: Sequence[tuple[int, int]]


class InferenceConfig(Config):
    """How a picture is shown to a method and how its answers are merged.

    With `shortest_edge`, the picture is first resized to that (the longest edge to at most `longest_edge`), as CAT-Seg
    does with 640. Without it, edges longer than 5/3 of the backbone's resolution are reduced to that: small pictures
    stay as they are, and the method's own resizing skips no pixels of large ones. `batch` views run at a time;
    merging uses about `memory_mb` besides the result. `class_pooling` replaces the method's own pooling of the class
    attention (None: as in training).
    """

    windows: Annotated[WholeImage | SlidingWindows | PictureWindows, Field(discriminator="name")] = WholeImage()
    shortest_edge: PositiveInt | None = None
    longest_edge: PositiveInt = 2560
    batch: PositiveInt = 1
    memory_mb: PositiveInt = 16
    class_pooling: PositiveInt | None = None

    @property
    def title(self) -> str:
        """The protocol in words, for reports: two results with the same title were made in the same way."""
        edges = f", shortest edge {self.shortest_edge}, longest {self.longest_edge}" if self.shortest_edge else ""
        pooling = f", class pooling {self.class_pooling}" if self.class_pooling else ""
        return f"{self.windows.title}{edges}{pooling}"

    @property
    def memory_bytes(self) -> int:
        """`memory_mb` in bytes."""
        return self.memory_mb * 2**20


CAT_SEG_PROTOCOL: Final = InferenceConfig(
    windows=SlidingWindows(side=640, kernel=384), shortest_edge=640, class_pooling=1
)
"""The published evaluation of CAT-Seg and H-CLIP, for every backbone."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The best class of every pixel, and its score in [0, 1]."""

    labels: Int[Tensor, "H W"]
    scores: Float[Tensor, "H W"]


@torch.inference_mode()
def predict(
    method: Method,
    image: UInt8[np.ndarray, "H W 3"],
    text: Words,
    config: InferenceConfig,
    *,
    row_class: Sequence[int] | None = None,
) -> Prediction:
    """The class of every pixel of a picture (RGB); a class has the score of its best row.

    `row_class` gives the class of each row of the text (None: rows are classes).
    """
    rows, maps = score_maps(method, image, text, config)
    labels, scores = best_rows(maps, rows, memory_bytes=config.memory_bytes)
    if row_class is not None:
        labels = torch.tensor(row_class, dtype=torch.int32, device=labels.device)[labels]
    return Prediction(labels, scores)


def score_maps(
    method: Method,
    image: UInt8[np.ndarray, "H W 3"],
    text: Words,
    config: InferenceConfig,
    *,
    size: tuple[int, int] | None = None,
) -> tuple[Int[Tensor, " c"], ScoreMaps]:
    """The rows that can be the best somewhere, and their scores at `size` (None: the picture's), a few at a time.

    The method runs here; the maps only merge what it gave.
    """
    height, width = size or image.shape[:2]
    windows, resolution = config.windows, method.backbone.resolution
    pixels = _to_tensor(_loaded(image, config, resolution)).to(text.device)
    if isinstance(windows, WholeImage):
        padded = _padded(pixels, windows.pad_multiple, method.backbone.mean)
        views = _run(method, padded[None], text, config.batch)
        rows = candidates(views, len(text))
        rows = contenders(views[0], method.scores, rows, memory_bytes=config.memory_bytes)
        return rows, WholeScores(views[0], method.scores, (height, width))
    grid = windows.grid(resolution, (pixels.shape[-2], pixels.shape[-1]))
    frames = _cut(resize_maps(pixels, grid.canvas), grid)
    if windows.global_view:
        frames.append(resize_maps(pixels, grid.window))
    views = _run(method, torch.stack(frames), text, config.batch)
    return candidates(views, len(text)), WindowScores(
        windows=views[: len(grid.corners)],
        whole=views[-1] if windows.global_view else None,
        scores=method.scores,
        corners=grid.corners,
        window=grid.window,
        canvas=grid.canvas,
        size=(height, width),
        score_last=isinstance(windows, PictureWindows),
    )


def _run(method: Method, frames: Float[Tensor, "v 3 h w"], text: Words, batch: int) -> list[View]:
    views: list[View] = []
    for some in torch.split(frames, batch):
        output = method(some, text)
        kept = [None] * len(some) if output.kept is None else output.kept
        views += [View(logits, rows) for logits, rows in zip(output.logits, kept, strict=True)]
    return views


def _cut(canvas: Float[Tensor, "3 H W"], grid: WindowGrid) -> list[Float[Tensor, "3 h w"]]:
    height, width = grid.window
    return [canvas[:, top : top + height, left : left + width] for top, left in grid.corners]


def _loaded(image: UInt8[np.ndarray, "H W 3"], config: InferenceConfig, resolution: int) -> UInt8[np.ndarray, "h w 3"]:
    height, width = image.shape[:2]
    if config.shortest_edge is not None:
        new = shortest_edge_size((height, width), config.shortest_edge, config.longest_edge)
    else:
        limit = round(resolution * WORKING_SIDE)
        new = (min(height, limit), min(width, limit))
    if new == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((new[1], new[0]), Image.Resampling.BILINEAR))


def shortest_edge_size(size: tuple[int, int], shortest: int, longest: int) -> tuple[int, int]:
    """The size with this shortest edge, or less where the longest edge would exceed its limit; as in CAT-Seg."""
    scale = shortest / min(size)
    sides = [shortest if side == min(size) else side * scale for side in size]
    if max(sides) > longest:
        shrink = longest / max(sides)
        sides = [side * shrink for side in sides]
    height, width = (max(1, int(side + 0.5)) for side in sides)
    return height, width


def _to_tensor(image: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    return torch.tensor(image).permute(2, 0, 1).float() / 255


def _padded(pixels: Float[Tensor, "3 h w"], multiple: int, colour: Sequence[float]) -> Float[Tensor, "3 H W"]:
    """The picture with the backbone's mean colour, which it sees as zeros, to the right and below."""
    height, width = pixels.shape[-2:]
    right, below = -width % multiple, -height % multiple
    if not right and not below:
        return pixels
    planes = [F.pad(plane, (0, right, 0, below), value=value) for plane, value in zip(pixels, colour, strict=True)]
    return torch.stack(planes)
