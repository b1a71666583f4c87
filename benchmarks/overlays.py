"""Processor time of reading, segmenting and writing an image with the tiny CLIP, by format of the overlay.

    python -m benchmarks.overlays [--images 24] [--rounds 3]

One thread; images of 640x480 pixels, names and legend as by default; the steps take turns. Writes
`benchmarks/results/overlays.json`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.formats.overlay import overlay_of, write_image
from ahs_seg.output.formats.png import write_label_map
from ahs_seg.segmenter import Segmenter
from benchmarks.stored import command_line, store
from benchmarks.throughput import WORDS, draw, small_method


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = Segmenter(small_method())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = draw(folder, given.images)
        images = [read_image(path) for path in paths]
        items = [ExportItem(Path("x"), result) for result in segmenter.segment_many(images, WORDS)]
        drawn = [overlay_of(item) for item in items]
        steps: dict[str, Callable[[int], object]] = {
            "read": lambda index: read_image(paths[index]),
            "segment": lambda index: segmenter.segment_many([images[index]], WORDS),
            "write label map": lambda index: write_label_map(items[index], folder / "x.png"),
            "draw overlay": lambda index: overlay_of(items[index]),
            "write png by Pillow": lambda index: Image.fromarray(drawn[index]).save(folder / "p.png", compress_level=1),
            "write png": lambda index: write_image(folder / "x.overlay.png", drawn[index]),
            "write jpg": lambda index: write_image(folder / "x.overlay.jpg", drawn[index]),
            "write webp": lambda index: write_image(folder / "x.overlay.webp", drawn[index]),
        }
        spent: dict[str, list[float]] = {step: [] for step in steps}
        for _ in range(given.rounds):
            for index in range(given.images):
                for step, call in steps.items():
                    began = time.process_time()
                    call(index)
                    spent[step].append(1000 * (time.process_time() - began))
        sizes = {path.suffix: path.stat().st_size for path in folder.glob("x.overlay.*")}
    medians = {step: round(statistics.median(values), 2) for step, values in spent.items()}
    values = {"cpu_ms": medians, "bytes": sizes}
    store("overlays", values)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
