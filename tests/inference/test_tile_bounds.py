"""Rows that are left out of a block of tiles never win there."""

import pytest
import torch
from torch import Tensor

from ahs_seg.inference.score_maps import View, best_rows
from ahs_seg.inference.tile_bounds import Share, contested_rows
from ahs_seg.inference.tiling import BlockScores, TileConfig, TilePart


def blocks(side: int, tile: int, grid: int, kind: str) -> list[BlockScores]:
    """Every block of a row of tiles with drawn logits of 30 classes."""
    draw = torch.Generator().manual_seed(side)
    axis = TileConfig(size=tile, overlap=0.4).axis(side, 32)
    views = []
    for _ in axis.places:
        logits = torch.randn(30, grid, grid, generator=draw)
        views.append(
            View(logits.round() if kind == "equal" else logits * 0.5 - 6 * (torch.arange(30) > 4)[:, None, None], None)
        )
    down = TileConfig(size=tile).axis(tile, 32).reaches(0)[0]
    return [
        BlockScores(
            [TilePart(views[one.tile], down, one, (tile, tile)) for one in axis.reaches(index)],
            torch.sigmoid,
            (tile, len(axis.block(index))),
        )
        for index in range(len(axis.places))
    ]


@pytest.mark.parametrize("kind", ["scene", "equal"])
@pytest.mark.parametrize(("side", "tile", "grid"), [(70, 40, 10), (33, 33, 33), (50, 20, 1)])
def test_rows_left_out_change_no_bit(side: int, tile: int, grid: int, kind: str) -> None:
    rows = torch.arange(30)
    for maps in blocks(side, tile, grid, kind):
        kept = maps.possible_winners(rows, 10_000)
        found = best_rows(maps, kept, memory_bytes=10**6)
        expected = best_rows(maps, rows, memory_bytes=10**6)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
        assert len(kept) < 30 or kind == "equal"


def test_a_row_that_is_ahead_in_one_cell_is_kept() -> None:
    grid = torch.full((3, 1, 40), 0.5)
    grid[1, 0, 35], grid[2] = 0.9, 0.1
    shares = [(Share(0, 1, 1, 1), Share(0, 40, 40, 40))]

    def grids(rows: Tensor) -> list[Tensor]:
        return [grid[rows]]

    assert contested_rows(grids, torch.arange(3).split(2), shares, (1, 40)).tolist() == [0, 1]
