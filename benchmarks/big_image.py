"""Time and memory of tiled segmentation over the size of a GeoTIFF.

    python -m benchmarks.big_image [--width 20000] [--heights 1000 4000 20000] [--tile 640] [--threads 2]

Each row is a fresh process that writes a GeoTIFF of that size, block by block, and segments it with the tiny CLIP in
tiles (label map as PNG and GeoTIFF, overlay). Memory must not grow with the height.
Writes `benchmarks/results/big_image.json`.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.windows import Window

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from benchmarks.measure import in_own_process, reset_peak, resident_mib
from benchmarks.stored import command_line, store

WORDS = "water, forest, field, road, roof, sand"
BLOCK = 512
PLACE = rasterio.Affine(0.2, 0, 400_000, 0, -0.2, 5_600_000)


def draw(path: Path, height: int, width: int) -> None:
    """Write a GeoTIFF of smooth shapes with noise, block by block."""
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": height, "width": width, "tiled": True}
    blocks = {"blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=PLACE, **profile, **blocks) as dataset:
        for top in range(0, height, BLOCK):
            rows = min(BLOCK, height - top)
            coarse = Image.fromarray(rng.integers(0, 256, (2, max(2, width // 256), 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((width, rows), Image.Resampling.BICUBIC))
            dataset.write(np.moveaxis(smooth, -1, 0), window=Window(0, top, width, rows))


def measured(height: int, width: int, tile: int, threads: int) -> dict[str, Any]:
    """Time and memory of segmenting one image."""
    torch.set_num_threads(threads)
    segmenter = Segmenter(ZeroShotConfig(backbone=ClipConfig(source=TINY)).build())
    config = BatchConfig(formats=("png", "geotiff", "overlay"), tiles=TileConfig(size=tile))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "big.tif"
        draw(source, height, width)
        before = resident_mib("VmRSS")
        reset_peak()
        began = time.perf_counter()
        summary = segment_files(segmenter, [source], WORDS, Path(folder) / "out", config=config, progress=False)
        seconds = time.perf_counter() - began
        assert summary.done == 1, summary.failures
        (written,) = (Path(folder) / "out").glob("*.tif")
        with rasterio.open(written) as found:
            assert (found.height, found.width, found.transform) == (height, width, PLACE)
            assert found.crs.to_epsg() == 32632
    return {
        "height": height,
        "width": width,
        "seconds": round(seconds, 1),
        "before_mib": round(before, 1),
        "peak_mib": round(resident_mib("VmHWM"), 1),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--width", type=int, default=20_000)
    parser.add_argument("--heights", type=int, nargs="+", default=[1000, 4000, 20_000])
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    rows = []
    for height in given.heights:
        rows.append(in_own_process(measured, height, given.width, given.tile, given.threads))
        print(json.dumps(rows[-1]), flush=True)
    values = {
        "threads": given.threads,
        "tile": given.tile,
        "classes": len(WORDS.split(",")),
        "pictures": rows,
    }
    store("big_image", values)


if __name__ == "__main__":
    main()
