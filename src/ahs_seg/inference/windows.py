"""The views of a picture that a method is shown: the whole picture, or windows on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, PositiveInt, model_validator

from ahs_seg.config import Config

WORKING_SIDE: Final = 5 / 3
"""Side at which pictures are worked on, in units of the backbone's resolution; CAT-Seg's 640 for 384."""


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

    def grid(self, resolution: int, size: tuple[int, int] = (1, 1)) -> WindowGrid:
        """The windows for a backbone of this resolution: of every image, whatever its size, on one square."""
        del size
        kernel = self.kernel or resolution
        side = self.side or max(kernel, round(resolution * WORKING_SIDE))
        kernel = min(kernel, side)
        step = max(1, int(kernel * (1 - self.overlap)))
        tops = places(side, kernel, step)
        return WindowGrid((side, side), (kernel, kernel), [(top, left) for top in tops for left in tops])


class ImageWindows(Config):
    """Square windows over the picture in its own proportions; logits are averaged, then scored.

    A side shorter than `kernel` is one window; the last ends at the border. Source: MMSegmentation, `slide` mode,
    as in SCLIP (Wang et al., ECCV 2024) and the training-free methods after it, where these are the sizes.
    """

    name: Literal["image_windows"] = "image_windows"
    kernel: PositiveInt = 224
    stride: PositiveInt = 112
    global_view: Literal[False] = False

    @property
    def title(self) -> str:
        """Part of the protocol's name."""
        return f"windows of {self.kernel} on the picture, stride {self.stride}, scored after merging"

    def grid(self, resolution: int, size: tuple[int, int]) -> WindowGrid:
        """The windows for an image of this size; the method resizes them to its own resolution."""
        del resolution
        height, width = (min(self.kernel, side) for side in size)
        rows, columns = (places(side, min(self.kernel, side), self.stride) for side in size)
        return WindowGrid(size, (height, width), [(top, left) for top in rows for left in columns])


def places(side: int, kernel: int, step: int) -> list[int]:
    """The beginnings of windows along a side; the last ends at the border."""
    return [*range(0, side - kernel, step), side - kernel]


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows of one size on a canvas, row by row, by their top left corners."""

    canvas: tuple[int, int]
    window: tuple[int, int]
    corners: Sequence[tuple[int, int]]
