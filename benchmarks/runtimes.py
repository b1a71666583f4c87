"""CAT-Seg at ViT-B/16 size in PyTorch, ONNX Runtime and OpenVINO: image tower and head, sides in turns.

    python -m benchmarks.runtimes [--classes 20 150] [--rounds 3] [--threads 2]

Weights are random; the graphs are exported first, which takes about a minute. OpenVINO is left out where it is not
installed. The error is the largest difference of an output from PyTorch's, relative to its largest value. Each side
runs once before it is timed; freed memory is kept by the allocator of each, none is trimmed between calls.
Writes `benchmarks/results/runtimes.json`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ahs_seg.checkpoints import ModelDescription
from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.manifest import FORMATS, read_manifest
from ahs_seg.checkpoints.exporting.sessions import RUNTIMES, open_sessions
from ahs_seg.methods import CatSegConfig
from ahs_seg.segmenter import Segmenter
from benchmarks.cost_family import vit_b16
from benchmarks.stored import command_line, store

Side = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def timed(sides: Mapping[str, Side], inputs: Mapping[str, Tensor], rounds: int) -> dict[str, Any]:
    """Median seconds and processor seconds of every side, and its error."""
    exact = {name: side(inputs) for name, side in sides.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            began, used = time.perf_counter(), time.process_time()
            side(inputs)
            seconds[name].append((time.perf_counter() - began, time.process_time() - used))
    plain = exact["torch"]
    return {
        name: {
            "seconds": statistics.median(wall for wall, _ in found),
            "processor_seconds": statistics.median(used for _, used in found),
            "error": max(
                float((exact[name][key] - value).abs().max() / value.abs().max()) for key, value in plain.items()
            ),
        }
        for name, found in seconds.items()
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[20, 150])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = CatSegConfig()
    segmenter = Segmenter(config.compose(vit_b16()), description=ModelDescription(method=config))
    parts = staged(segmenter.method)
    runtimes = [name for name in RUNTIMES if find_spec(name)]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        wanted = [kind for kind in FORMATS if kind in [RUNTIMES[name][1] for name in runtimes]]
        directory = segmenter.export(Path(folder) / "model", wanted)
        sessions = {}
        for name in runtimes:
            kind = RUNTIMES[name][1]
            sessions[name] = open_sessions(directory / kind, read_manifest(directory, kind).graphs, name)
        stages = parts.stages()

        def sides(graph: str) -> dict[str, Side]:
            stage = stages[graph]

            def plain(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
                found = stage.module(*(inputs[name] for name in stage.inputs))
                return dict(zip(stage.outputs, found if isinstance(found, tuple) else (found,), strict=True))

            return {"torch": plain, **{name: found[graph] for name, found in sessions.items()}}

        results = {"image": timed(sides("image"), stages["image"].inputs, arguments.rounds)}
        for count in arguments.classes:
            text = torch.randn(count, 1, segmenter.method.backbone.dim)
            inputs = {**stages["head"].inputs, "text": text, "words": text}
            results[f"head, {count} classes"] = timed(sides("head"), inputs, arguments.rounds)
    for graph, found in results.items():
        for name, row in found.items():
            print(f"{graph:20} {name:12} {row['seconds']:.3f} s, error {row['error']:.1e}")
    values = {
        "settings": {"threads": arguments.threads, "rounds": arguments.rounds},
        "results": results,
    }
    store("runtimes", values)


if __name__ == "__main__":
    main()
