"""Overhead of runs over folders relative to the model, and their memory over the number of images.

    python -m benchmarks.throughput [--images 200] [--large 20] [--threads 2]

A folder of JPEGs of 640x480 pixels goes to label maps and overlays (`segment_files`): with the quickstart's CAT-Seg on
the tiny CLIP, computed by all threads and by one, which leaves cores to reading and writing, and (`--large` images)
with CAT-Seg at ViT-B/16 size with generated weights. For comparison the same images, already in memory, are segmented
one by one: the sum of the forward passes, and of these with merging and argmax. Both run alternately, portion by
portion, with the same number of threads. Memory: a fresh process per row.
Writes `benchmarks/results/throughput.json`.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.batch import segment_files
from ahs_seg.configs import find_config
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.io.images import read_image
from ahs_seg.methods import CatSegConfig, ZeroShotConfig
from ahs_seg.methods.base import Method
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from benchmarks.cost_family import vit_b16
from benchmarks.evaluation import Timed
from benchmarks.measure import in_own_process, resident_mib
from benchmarks.stored import command_line, store

WIDTH, HEIGHT, PORTIONS = 640, 480, 5
WORDS = Vocabulary.parse("sky, road, car, tree, person, house, grass, sign, wall, dog")


def draw(folder: Path, count: int) -> list[Path]:
    """Write JPEG files with large smooth shapes and noise, similar to photographs."""
    rng, paths = np.random.default_rng(0), []
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        pixels = (smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{index:04d}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def small_method() -> Method:
    return Experiment.read(find_config("quickstart/cat_seg")).method.build()


def speed(title: str, method: Method, prompts: PromptConfig, images: int, threads: int) -> dict[str, Any]:
    """Seconds of the model alone and of the whole run, alternately on the same images."""
    torch.set_num_threads(threads)
    segmenter = Segmenter(Timed(method), prompts=prompts)
    model = cast(Timed, segmenter.method)  # merged, it is another one
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), images)
        segmenter.segment_many([read_image(paths[0])], WORDS)
        model.seconds = alone = forward = run = 0.0
        for portion in range(PORTIONS):
            some = paths[portion::PORTIONS]
            loaded = [read_image(path) for path in some]
            began, model.seconds = time.perf_counter(), 0.0
            for image in loaded:
                segmenter.segment_many([image], WORDS)
            alone += time.perf_counter() - began
            forward += model.seconds
            del loaded
            began = time.perf_counter()
            summary = segment_files(segmenter, some, WORDS, Path(folder) / f"out{portion}", progress=False)
            run += time.perf_counter() - began
            assert summary.done == len(some)
    return {
        "case": title,
        "images": images,
        "threads": threads,
        "forward_seconds": round(forward, 2),
        "model_seconds": round(alone, 2),
        "run_seconds": round(run, 2),
        "images_per_second": round(images / run, 2),
        "added_to_forward": round(run / forward - 1, 4),
        "added_to_model": round(run / alone - 1, 4),
    }


def memory(images: int, threads: int) -> dict[str, Any]:
    """Peak resident memory and seconds of a run over this many images."""
    torch.set_num_threads(threads)
    segmenter = Segmenter(ZeroShotConfig(backbone=ClipConfig(source=TINY)).build())
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), images)
        began = time.perf_counter()
        segment_files(segmenter, paths, WORDS, Path(folder) / "out", progress=False)
        seconds = time.perf_counter() - began
    return {"images": images, "seconds": round(seconds, 1), "peak_mib": round(resident_mib("VmHWM"), 1)}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--large", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.manual_seed(0)
    cases = [
        speed("CAT-Seg on the tiny CLIP", small_method(), PromptConfig(), given.images, threads)
        for threads in sorted({given.threads, 1}, reverse=True)
    ]
    if given.large:
        short = PromptConfig(templates=("a {}",))
        large = CatSegConfig().compose(vit_b16())
        cases.append(speed("CAT-Seg, ViT-B/16", large, short, given.large, given.threads))
    rows = [in_own_process(memory, count, given.threads) for count in (given.images // 4, given.images)]
    values = {
        "threads": given.threads,
        "size": [HEIGHT, WIDTH],
        "classes": len(WORDS),
        "speed": cases,
        "memory": rows,
    }
    store("throughput", values)
    print(json.dumps({"speed": cases, "memory": rows}, indent=1))


if __name__ == "__main__":
    main()
