"""The way from views to score maps, as the method says."""

import pytest
import torch

from ahs_seg.inference.contests import Rivals
from ahs_seg.inference.mask_scores import MaskScores, MaskView
from ahs_seg.inference.merging import merged
from ahs_seg.inference.score_maps import ScoreMaps, View, WholeScores
from ahs_seg.inference.softmax_scores import RefinedMaps, SoftmaxScores
from ahs_seg.inference.window_scores import WindowScores
from ahs_seg.inference.windows import ImageWindows, SlidingWindows, WholeImage
from ahs_seg.methods.base import Merging
from ahs_seg.methods.refinement import PamrConfig
from tests.support.tiny_models import ColourMethod

SIZE = (30, 40)


class Chosen(ColourMethod):
    """A method that merges as it is told."""

    def __init__(self, merging: Merging) -> None:
        super().__init__()
        self.chosen = merging

    @property
    def merging(self) -> Merging:
        return self.chosen


def maps_of(method: ColourMethod, windows: WholeImage | SlidingWindows | ImageWindows, *views: View | MaskView):
    grid = None if isinstance(windows, WholeImage) else windows.grid(16, SIZE)
    return merged(
        list(views),
        method,
        4,
        windows=windows,
        grid=grid,
        size=SIZE,
        image=lambda: torch.rand(3, *SIZE),
        memory_bytes=10_000,
    )


def view(seed: int = 0) -> View:
    return View(torch.randn(4, 3, 4, generator=torch.Generator().manual_seed(seed)), None)


@pytest.mark.parametrize(
    ("merging", "kind"),
    [
        (Merging(), WholeScores),
        (Merging(softmax=True), SoftmaxScores),
        (Merging(softmax=True, refine=PamrConfig()), SoftmaxScores),
    ],
)
def test_one_view(merging: Merging, kind: type[ScoreMaps]) -> None:
    rows, maps = maps_of(Chosen(merging), WholeImage(), view())
    assert isinstance(maps, kind)
    if isinstance(maps, SoftmaxScores):
        assert rows.tolist() == [0, 1, 2, 3], "every row counts in the sum"
        assert isinstance(maps.logits, RefinedMaps if merging.refine else WholeScores)


def test_rows_that_never_win_are_left_out_without_a_softmax() -> None:
    logits = view().logits.clone()
    logits[2] = -5
    rows, maps = maps_of(ColourMethod(), WholeImage(), View(logits, None))
    assert isinstance(maps, WholeScores)
    assert not maps.contested(rows, Rivals(), 10_000)[2].any()


def test_logits_of_windows_are_averaged_before_a_softmax() -> None:
    windows = SlidingWindows(side=32, kernel=32)
    rows, maps = maps_of(Chosen(Merging(softmax=True)), windows, view(0), view(1))
    _, plain = maps_of(ColourMethod(), windows, view(0), view(1))
    assert isinstance(plain, WindowScores)
    mean = torch.stack([one.logits_at(rows, (32, 32)) for one in (view(0), view(1))]).mean(0)
    expected = torch.nn.functional.interpolate(mean[None], SIZE, mode="bilinear")[0].softmax(0)
    torch.testing.assert_close(maps(rows), expected)


def test_mask_proposals_have_their_own_scores() -> None:
    masks = MaskView(torch.randn(2, 3, 4), torch.rand(2, 4), SIZE, SIZE)
    _, maps = maps_of(ColourMethod(), WholeImage(), masks)
    assert isinstance(maps, MaskScores)
