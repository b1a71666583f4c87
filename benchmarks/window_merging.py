"""Time of merging windows: all text rows at full size, as before, and only those that can win in a region.

    python -m benchmarks.window_merging [--sizes 480x640 4096x4096] [--repeats 3] [--threads 2]

Drawn logits of 150 words in four windows of 384 on a canvas of 640 with a view of the whole image; about eleven words
are somewhere ahead of the others, as in a photograph. The two sides take turns; medians. With all rows, a few of them
are resized at a time with `torch.nn.functional.interpolate`, as many as fit into the memory; at large sizes only
`--plain-rows` rows are timed and the time is scaled to all of them. Labels of both are compared where all rows are
computed. Writes `benchmarks/results/window_merging.json`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.inference.contests import Rivals
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.score_maps import View, best_rows
from ahs_seg.inference.window_scores import WindowScores
from ahs_seg.inference.windows import SlidingWindows
from benchmarks.stored import command_line, store

WORDS, PRESENT, RESOLUTION, GRID = 150, 11, 384, 96
MEMORY = InferenceConfig().memory_bytes


def drawn(size: tuple[int, int]) -> WindowScores:
    """Logits of a drawn scene, seen by every window with a little noise of its own."""
    draw = torch.Generator().manual_seed(0)
    scene = F.interpolate(torch.randn(1, WORDS, 8, 8, generator=draw) * 3, (160, 160), mode="bicubic")[0]
    scene[PRESENT:] -= 12
    grid = SlidingWindows(side=640, kernel=RESOLUTION).grid(RESOLUTION)
    scale = grid.window[0] // GRID

    def view(logits: Tensor) -> View:
        return View(logits + 0.2 * torch.randn(logits.shape, generator=draw), None)

    windows = []
    for top, left in grid.corners:
        windows.append(view(scene[:, top // scale : top // scale + GRID, left // scale : left // scale + GRID]))
    whole = view(F.interpolate(scene[None], (GRID, GRID), mode="bilinear")[0])
    return WindowScores(windows, whole, torch.sigmoid, tuple(grid.corners), grid.window, grid.canvas, size)


def plain(maps: WindowScores, rows: Tensor) -> Tensor:
    """The labels from all rows at full size, with a running maximum."""
    best, labels = torch.full(maps.size, -torch.inf), torch.zeros(maps.size, dtype=torch.int32)
    for some in rows.split(max(1, MEMORY // maps.row_bytes)):
        full = F.interpolate(maps.coarse(some)[None], maps.size, mode="bilinear")[0]
        for row, scores in zip(some.tolist(), full, strict=True):
            labels.masked_fill_(scores > best, row)
            torch.maximum(best, scores, out=best)
    return labels


def timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Wall and processor seconds of one call, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}, result


@torch.inference_mode()
def measured(size: tuple[int, int], repeats: int, plain_rows: int) -> dict[str, Any]:
    """Medians of both sides at one size in pixels."""
    maps, rows = drawn(size), torch.arange(WORDS)
    some = rows if size[0] * size[1] < 10**6 else rows[:plain_rows]
    best_rows(maps, rows, memory_bytes=MEMORY)
    taken: dict[str, list[dict[str, float]]] = {"all rows": [], "possible winners": []}
    for _ in range(repeats):
        one, expected = timed(lambda: plain(maps, some))
        two, (labels, _) = timed(lambda: best_rows(maps, rows, memory_bytes=MEMORY))
        taken["all rows"].append({key: value * len(rows) / len(some) for key, value in one.items()})
        taken["possible winners"].append(two)
    contested = maps.contested(rows, Rivals(), MEMORY)
    assert contested is not None
    return {
        "size": list(size),
        "words": WORDS,
        "rows_timed_of_all": len(some),
        "rows_somewhere": int(contested.any(1).sum()),
        "rows_in_a_region": round(float(contested.sum(0).float().mean()), 2),
        "labels_that_differ": int((labels != expected).sum()) if len(some) == len(rows) else None,
        "median": {
            side: {key: round(median(one[key] for one in found), 4) for key in found[0]}
            for side, found in taken.items()
        },
    }


def main() -> None:
    """Measure every size and write the JSON file."""
    parser = command_line(__doc__)
    parser.add_argument("--sizes", nargs="+", default=["480x640", "4096x4096"], help="height x width")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-rows", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for size in given.sizes:
        height, width = map(int, size.split("x"))
        rows.append(measured((height, width), given.repeats, given.plain_rows))
        print(json.dumps(rows[-1]), flush=True)
    store("window_merging", {"threads": given.threads, "merging": rows})


if __name__ == "__main__":
    main()
