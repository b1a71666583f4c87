"""Class and score of every pixel of an image, from the whole image at once or from sliding windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from PIL import Image
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config, Side
from ahs_seg.inference.budget import merging_bytes, views_at_once
from ahs_seg.inference.mask_scores import mask_views
from ahs_seg.inference.merging import merged
from ahs_seg.inference.score_maps import AnyView, ScoreMaps, View, best_rows, resize_maps
from ahs_seg.inference.windows import WORKING_SIDE, ImageWindows, SlidingWindows, WholeImage, WindowGrid
from ahs_seg.io.precision import computing_in
from ahs_seg.methods.base import Method
from ahs_seg.modules.constants import indices_on, uploaded
from ahs_seg.modules.resize import LONGEST, shortest_edge_size
from ahs_seg.types import Words

_FORMER_KEYS: Final = ("class_pooling", "ensemble")


RESOURCE_SETTINGS: Final = frozenset({"batch", "memory_mb"})
"""Settings of `InferenceConfig` that change time and memory, and results by rounding only.

Runs that differ in these alone may resume one another; all other settings are compared.
"""


class InferenceConfig(Config):
    """Inference settings: how an image is resized and split into views, and how the outputs of the views are merged.

    With `shortest_edge`, the image is first resized to that shortest edge (the longest edge to at most `longest_edge`),
    as CAT-Seg does with 640. Without it, edges longer than 5/3 of the backbone's resolution are reduced to that length:
    small images keep their size, and the method's own resizing skips no pixels of large images. `batch` views run
    through the method at a time; merging needs about `memory_mb` in addition to the result; on a GPU both grow with the
    memory that is free (`inference.budget`). `options` are those of the method (`Method.options`), such as
    `class_pooling` in the cost family; without them the method runs as trained.
    """

    windows: Annotated[WholeImage | SlidingWindows | ImageWindows, Field(discriminator="name")] = WholeImage()
    shortest_edge: Side | None = None
    longest_edge: Side = 2560
    batch: PositiveInt = 1
    memory_mb: PositiveInt = 16
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_former_files(cls, values: Any) -> Any:
        """Convert values of an earlier format: method options move to `options`, `picture_windows` is renamed."""
        if not isinstance(values, dict):
            return values
        moved = {key: values[key] for key in _FORMER_KEYS if values.get(key) is not None}
        rest = {key: value for key, value in values.items() if key not in _FORMER_KEYS}
        if isinstance(rest.get("windows"), dict) and rest["windows"].get("name") == "picture_windows":
            rest["windows"] = {**rest["windows"], "name": "image_windows"}
        return {**rest, "options": {**rest.get("options", {}), **moved}} if moved else rest

    @property
    def title(self) -> str:
        """Description of the protocol for reports; results with the same title used the same protocol."""
        edges = f", shortest edge {self.shortest_edge}, longest {self.longest_edge}" if self.shortest_edge else ""
        return ", ".join([f"{self.windows.title}{edges}", *options_in_words(self.options)])

    @property
    def identity(self) -> dict[str, Any]:
        """Values for JSON of the settings that shape the result: all but `RESOURCE_SETTINGS`."""
        return self.model_dump(mode="json", exclude=set(RESOURCE_SETTINGS))

    @property
    def memory_bytes(self) -> int:
        """`memory_mb` in bytes."""
        return self.memory_mb * 2**20


def options_in_words(options: Mapping[str, Any]) -> list[str]:
    """Every option of a method as a string "name value"; names of nested options are joined."""
    words: list[str] = []
    for name, value in options.items():
        title = name.replace("_", " ")
        nested = options_in_words(value) if isinstance(value, Mapping) else [str(value)]
        words += [f"{title} {one}" for one in nested]
    return words


CAT_SEG_PROTOCOL: Final = InferenceConfig(
    windows=SlidingWindows(side=640, kernel=384), shortest_edge=640, options={"class_pooling": 1}
)
"""The published evaluation protocol of CAT-Seg and H-CLIP, the same for every backbone."""


def training_free_protocol(resolution: int = 224) -> InferenceConfig:
    """The protocol of SCLIP and NACLIP, for a CLIP of this resolution: windows of its size on a half larger image."""
    windows = ImageWindows(kernel=resolution, stride=max(1, resolution // 2))
    return InferenceConfig(windows=windows, shortest_edge=resolution + resolution // 2, longest_edge=2048)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The class with the highest score at every pixel, and that score in [0, 1]."""

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
    """The class of every pixel of an RGB image; the score of a class is that of its best text row.

    `row_class` is the class index of each text row (None: every text row is a class).
    """
    return _best(*score_maps(method, image, text, config), config, row_class)


def _best(
    rows: Int[Tensor, " c"], maps: ScoreMaps, config: InferenceConfig, row_class: Sequence[int] | None
) -> Prediction:
    labels, scores = best_rows(maps, rows, memory_bytes=merging_bytes(config.memory_bytes, rows.device))
    if row_class is not None:
        labels = indices_on(labels.device, row_class).int()[labels]
    return Prediction(labels, scores)


def score_maps(
    method: Method,
    image: UInt8[np.ndarray, "H W 3"],
    text: Words,
    config: InferenceConfig,
    *,
    size: tuple[int, int] | None = None,
) -> tuple[Int[Tensor, " c"], ScoreMaps]:
    """The text rows that some view kept, and their score maps at `size` (None: the size of the image).

    The method runs in this call; the returned maps resize and merge its outputs for a few text rows at a time.
    """
    shown = frames_of(image, config, method.backbone, size=size, keep_aspect=method.keeps_aspect)
    return merge_views(
        run_views(method, uploaded(shown.pixels, text.device), text, config.batch),
        shown,
        method,
        text,
        config,
    )


@torch.inference_mode()
def predict_many(
    method: Method,
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    text: Words,
    config: InferenceConfig,
    *,
    row_class: Sequence[int] | None = None,
) -> list[Prediction]:
    """`predict` for several images: views of equal size run through the method together, `config.batch` at a time."""
    shown = [frames_of(image, config, method.backbone, keep_aspect=method.keeps_aspect) for image in images]
    views: dict[int, list[AnyView]] = {}
    for shape in dict.fromkeys(one.pixels.shape[-2:] for one in shown):
        alike = [index for index, one in enumerate(shown) if one.pixels.shape[-2:] == shape]
        pixels = uploaded(torch.cat([shown[index].pixels for index in alike]), text.device)
        found = iter(run_views(method, pixels, text, config.batch))
        views |= {index: list(islice(found, len(shown[index].pixels))) for index in alike}
    return [
        _best(*merge_views(views[index], one, method, text, config), config, row_class)
        for index, one in enumerate(shown)
    ]


@dataclass(frozen=True, slots=True)
class Frames:
    """The views of one image as method input, their positions (`grid`; None: the whole image), the output size.

    `image` is the image itself.
    """

    pixels: Float[Tensor, "v 3 h w"]
    grid: WindowGrid | None
    size: tuple[int, int]
    image: UInt8[np.ndarray, "H W 3"]


def frames_of(
    image: UInt8[np.ndarray, "H W 3"],
    config: InferenceConfig,
    backbone: Backbone,
    *,
    size: tuple[int, int] | None = None,
    keep_aspect: bool = False,
) -> Frames:
    """The views of an image: windows in row-major order, then the whole image if the config has a global view."""
    height, width = size or image.shape[:2]
    windows = config.windows
    working = working_size((image.shape[0], image.shape[1]), config, backbone.resolution, keep_aspect=keep_aspect)
    pixels = to_tensor(_loaded(image, working))
    if isinstance(windows, WholeImage):
        return Frames(_padded(pixels, windows.pad_multiple, backbone.mean)[None], None, (height, width), image)
    grid = windows.grid(backbone.resolution, (pixels.shape[-2], pixels.shape[-1]))
    frames = _cut(resize_maps(pixels, grid.canvas), grid)
    if windows.global_view:
        frames.append(resize_maps(pixels, grid.window))
    return Frames(torch.stack(frames), grid, (height, width), image)


def merge_views(
    views: list[AnyView], shown: Frames, method: Method, text: Words, config: InferenceConfig
) -> tuple[Int[Tensor, " c"], ScoreMaps]:
    """The result of `score_maps`, from the outputs of the method for these views."""
    return merged(
        views,
        method,
        len(text),
        windows=config.windows,
        grid=shown.grid,
        size=shown.size,
        image=lambda: resize_maps(to_tensor(shown.image), shown.size),
        memory_bytes=merging_bytes(config.memory_bytes, text.device),
    )


def run_views(method: Method, frames: Float[Tensor, "v 3 h w"], text: Words, batch: int) -> list[AnyView]:
    """The output of the method for each view; `batch` views run at a time, more on a device with free memory."""
    views: list[AnyView] = []
    for some in torch.split(frames, views_at_once(batch, len(frames), frames.device)):
        with computing_in(method.compute_dtype, some.device):
            output = method(some, text)
        if output.proposals is not None:
            views += mask_views(output.proposals)
            continue
        kept = [None] * len(some) if output.kept_rows is None else output.kept_rows
        views += [View(logits, rows) for logits, rows in zip(output.logits, kept, strict=True)]
    return views


def working_size(
    size: tuple[int, int], config: InferenceConfig, resolution: int, *, keep_aspect: bool = False
) -> tuple[int, int]:
    """The size (height, width) to which an image is resized before it is split into views.

    Without a shortest edge in `config`, a method that resizes views to a square gets each side reduced by itself.
    """
    height, width = size
    if config.shortest_edge is not None:
        return shortest_edge_size((height, width), config.shortest_edge, config.longest_edge)
    limit = round(resolution * WORKING_SIDE)
    if keep_aspect:
        return shortest_edge_size((height, width), min(limit, height, width), LONGEST * limit)
    return min(height, limit), min(width, limit)


def _cut(canvas: Float[Tensor, "3 H W"], grid: WindowGrid) -> list[Float[Tensor, "3 h w"]]:
    height, width = grid.window
    return [canvas[:, top : top + height, left : left + width] for top, left in grid.corners]


def _loaded(image: UInt8[np.ndarray, "H W 3"], new: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    if new == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((new[1], new[0]), Image.Resampling.BILINEAR))


def to_tensor(image: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    """An RGB image as a float tensor with values in [0, 1]."""
    return torch.tensor(image).permute(2, 0, 1).float() / 255


def _padded(pixels: Float[Tensor, "3 h w"], multiple: int, colour: Sequence[float]) -> Float[Tensor, "3 H W"]:
    """The image padded on the right and below with the backbone's mean colour, which is zero after normalisation."""
    height, width = pixels.shape[-2:]
    right, below = -width % multiple, -height % multiple
    if not right and not below:
        return pixels
    planes = [F.pad(plane, (0, right, 0, below), value=value) for plane, value in zip(pixels, colour, strict=True)]
    return torch.stack(planes)
