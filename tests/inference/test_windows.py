"""Windows over a square."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.config import ConfigError
from ahs_seg.inference.predict import (
    InferenceConfig,
    predict,
)
from ahs_seg.inference.windows import ImageWindows, SlidingWindows, WholeImage
from tests.support.predictions import assert_same, random_image, tensor, words
from tests.support.tiny_models import ColourMethod


@pytest.mark.parametrize(("side", "kernel", "overlap"), [(50, 20, 0.0), (50, 21, 0.5), (20, 20, 0.9), (7, 2, 0.6)])
def test_windows_cover_everything(side, kernel, overlap):
    grid = SlidingWindows(side=side, kernel=kernel, overlap=overlap).grid(32)
    covered = torch.zeros(side, side)
    for top, left in grid.corners:
        covered[top : top + kernel, left : left + kernel] += 1
        assert top + kernel <= side
        assert left + kernel <= side
    assert covered.min() >= 1
    assert len(set(grid.corners)) == len(grid.corners)


@torch.no_grad()
def test_windows_that_do_not_divide_the_square():
    method, text, image = ColourMethod(), words(5), random_image(50, 50)
    windows = SlidingWindows(side=50, kernel=21, overlap=0.5, global_view=False)
    prediction = predict(method, image, text, InferenceConfig(windows=windows))
    total, count = torch.zeros(5, 50, 50), torch.zeros(50, 50)
    for top in (0, 10, 20, 29):
        for left in (0, 10, 20, 29):
            crop = tensor(image)[None, :, top : top + 21, left : left + 21]
            total[:, top : top + 21, left : left + 21] += F.interpolate(
                method(crop, text).logits, (21, 21), mode="bilinear"
            )[0].sigmoid()
            count[top : top + 21, left : left + 21] += 1
    assert_same(prediction, total / count)


def test_the_stride_is_rounded_down() -> None:
    """CAT-Seg's overlap of 0.333: a kernel of 160 moves by int(106.72) pixels, one of 384 by int(256.13)."""
    grid = SlidingWindows(side=480, kernel=160).grid(384)
    assert sorted({top for top, _ in grid.corners}) == [0, 106, 212, 318, 320]
    assert sorted({left for _, left in SlidingWindows().grid(384).corners}) == [0, 256]


def test_windows_of_an_image_leave_no_gap() -> None:
    assert ImageWindows(kernel=4, stride=4).grid(32, (8, 9)).corners == [
        (top, left) for top in (0, 4) for left in (0, 4, 5)
    ]
    with pytest.raises(ConfigError, match=r"stride 5 is larger than kernel 4; pixels between two windows"):
        ImageWindows(kernel=4, stride=5)


def test_a_kernel_must_fit_into_the_square_if_both_are_given() -> None:
    with pytest.raises(ConfigError, match="kernel 96 is larger than side 64"):
        SlidingWindows.parse({"side": 64, "kernel": 96})
    assert SlidingWindows(side=64).grid(96).window == (64, 64)  # of the backbone's resolution, what fits
    assert WholeImage() == WholeImage(pad_multiple=1)  # no padding unless it is asked for
    assert SlidingWindows(kernel=96).grid(48).canvas == (96, 96)
