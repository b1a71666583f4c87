"""The views of an image that a method receives: the whole image, or sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, model_validator

from ahs_seg.config import Config, Side

WORKING_SIDE: Final = 5 / 3
"""Maximum side of the resized image, relative to the backbone's resolution: CAT-Seg's 640 for 384."""


class WholeImage(Config):
    """One view of the whole image.

    CAT-Seg pads to multiples of 32 and resizes the output of the padded image to the size of the image, which shifts it
    by up to 31 pixels. `pad_multiple=32` reproduces that; 1 does not pad, which is correct, as the method resizes the
    image anyway.
    """

    name: Literal["whole"] = "whole"
    pad_multiple: Side = 1

    @property
    def title(self) -> str:
        """Part of the title of the protocol (`InferenceConfig.title`)."""
        return "whole image" if self.pad_multiple == 1 else f"whole image padded to multiples of {self.pad_multiple}"


class SlidingWindows(Config):
    """Square windows of side `kernel` over the image resized to a square of `side`, averaged with a view of the whole.

    Without sizes, `kernel` is the backbone's resolution, and `side` is 640 / 384 of it as in CAT-Seg. The stride is
    `int(kernel * (1 - overlap))`; the last window ends at the border.
    """

    name: Literal["sliding"] = "sliding"
    side: Side | None = None
    kernel: Side | None = None
    overlap: float = Field(default=0.333, ge=0, lt=1)
    global_view: bool = True

    @model_validator(mode="after")
    def _check_sizes(self) -> SlidingWindows:
        if self.side is not None and self.kernel is not None and self.kernel > self.side:
            raise ValueError(f"kernel {self.kernel} is larger than side {self.side}; it must fit into the square")
        return self

    @property
    def title(self) -> str:
        """Part of the title of the protocol (`InferenceConfig.title`)."""
        kernel, side = (f" {word} {size}" * bool(size) for word, size in (("of", self.kernel), ("on", self.side)))
        return f"windows{kernel}{side}, overlap {self.overlap:g}" + ", with global view" * self.global_view

    def grid(self, resolution: int, size: tuple[int, int] = (1, 1)) -> WindowGrid:
        """The window grid for a backbone of this resolution; the canvas is the same square for every image size."""
        del size
        kernel = self.kernel or resolution
        side = self.side or max(kernel, round(resolution * WORKING_SIDE))
        kernel = min(kernel, side)
        step = max(1, int(kernel * (1 - self.overlap)))
        tops = places(side, kernel, step)
        return WindowGrid((side, side), (kernel, kernel), [(top, left) for top in tops for left in tops])


class ImageWindows(Config):
    """Square windows over the image in its own aspect ratio; logits are averaged, then converted to scores.

    A side shorter than `kernel` has one window; the last one ends at the border. Source: MMSegmentation, `slide` mode,
    as in SCLIP (Wang et al., ECCV 2024) and the training-free methods after it, where these are the sizes.
    """

    name: Literal["image_windows"] = "image_windows"
    kernel: Side = 224
    stride: Side = 112
    global_view: Literal[False] = False

    @model_validator(mode="after")
    def _check_stride(self) -> ImageWindows:
        if self.stride > self.kernel:
            raise ValueError(
                f"stride {self.stride} is larger than kernel {self.kernel}; pixels between two windows would have no "
                "score. Set it to at most the kernel"
            )
        return self

    @property
    def title(self) -> str:
        """Part of the title of the protocol (`InferenceConfig.title`)."""
        return f"windows of {self.kernel} on the image, stride {self.stride}, scored after merging"

    def grid(self, resolution: int, size: tuple[int, int]) -> WindowGrid:
        """The window grid for an image of this size; the method resizes the windows to its own resolution."""
        del resolution
        height, width = (min(self.kernel, side) for side in size)
        rows, columns = (places(side, min(self.kernel, side), self.stride) for side in size)
        return WindowGrid(size, (height, width), [(top, left) for top in rows for left in columns])


def places(side: int, kernel: int, step: int) -> list[int]:
    """Start positions of the windows along a side; the last window ends at the border."""
    return [*range(0, side - kernel, step), side - kernel]


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows of one size on a canvas, as their top left corners (top, left) in row-major order."""

    canvas: tuple[int, int]
    window: tuple[int, int]
    corners: Sequence[tuple[int, int]]
