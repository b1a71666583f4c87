"""Processor time and memory of starting: imports, `ahs-seg --help`, training's import, and a first answer.

    python -m benchmarks.start_up [--before SRC] [--rounds 5] [--only PROGRAM ...]

Each program runs in a process of its own with one thread. With `--before`, the `src` folder of another version, both
versions run in turns. The first answer is that of training-free segmentation with the packaged CLIP on a drawn scene,
with an empty cache folder; the second run finds its text embeddings there. "load" and "1,000 names" are of a CAT-Seg on
a ViT-B/16 of full size with random weights (`mib_of_weights`). With `--only` the
results are printed; without, they are also written to `benchmarks/results/start_up.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig
from benchmarks.stored import command_line, store

ROOT: Final = Path(__file__).parents[1]
PROGRAMS: Final = {
    "import torch": "import torch",
    "import ahs_seg": "import ahs_seg",
    "ahs-seg --help": "import sys; sys.argv = ['ahs-seg', '--help']; from ahs_seg.cli import main; main()",
    "from ahs_seg import Segmenter": "from ahs_seg import Segmenter",
    "from ahs_seg import train": "from ahs_seg import train",
    "first answer": (
        "import numpy; from ahs_seg import Segmenter; "
        "Segmenter.from_pretrained('clip:tiny')(numpy.zeros((96, 96, 3), numpy.uint8), 'sky, grass')"
    ),
    "load, CAT-Seg ViT-B": "from ahs_seg import Segmenter; Segmenter.from_pretrained(MODEL)",
    "1,000 names, CAT-Seg ViT-B": (
        "from ahs_seg import Segmenter; from ahs_seg.vocabulary.vocabulary import Vocabulary; "
        "Segmenter.from_pretrained(MODEL).encode(Vocabulary.parse([f'thing {i}' for i in range(1000)]))"
    ),
}
AGAIN: Final = {name: f"{name}, second run" for name in ("first answer", "1,000 names, CAT-Seg ViT-B")}
"""Programs that run again with the cache folder that they have filled."""


TOLD: Final = """import atexit, sys
status = open("/proc/self/status")
atexit.register(lambda: sys.stderr.write([line for line in status if line.startswith("VmHWM")][0]))
"""
"""Makes a program tell its peak memory; that of `wait4` would be no less than the peak of this process."""


def full_size_model(folder: Path) -> Path:
    """A model directory of CAT-Seg on a CLIP with the sizes of ViT-B/16, with random weights."""
    clip = folder / "clip"
    CLIPConfig(
        projection_dim=512,
        vision_config={"patch_size": 16, "hidden_act": "quick_gelu"},
        text_config={"hidden_act": "quick_gelu", "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
    ).save_pretrained(clip)
    packaged = ROOT / "src" / "ahs_seg" / "assets" / "tiny_clip"
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copyfile(packaged / name, clip / name)
    torch.manual_seed(0)
    network = ClipNetwork(CLIPConfig.from_pretrained(clip))
    save_file(network.state_dict(), clip / "model.safetensors")
    config = CatSegConfig(backbone=ClipConfig(source=str(clip), resolution=384))
    return save_model(config.build(), ModelDescription(method=config), folder / "model")


def run(program: str, source: Path, cache: Path) -> tuple[float, float]:
    """Processor seconds and peak memory in MiB of a Python program with the package in `source` (Linux only)."""
    own = {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    environment = {**os.environ, **own}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", TOLD + program],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=source.parent,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode:
        raise SystemExit(f"{program!r} ended with {process.returncode} in {source}: {lines[-1:]}")
    return used.ru_utime + used.ru_stime, int(lines[-1].split()[1]) / 1024


def main() -> None:
    """Measure every program in turns and write the JSON file."""
    parser = command_line(__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*PROGRAMS, *AGAIN.values()], metavar="PROGRAM")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Measure the programs in turns and write the JSON file; models and cache folders lie in `folder`."""
    sides = {"now": ROOT / "src"} | ({} if options.before is None else {"before": options.before.resolve()})
    rows: list[dict[str, Any]] = []
    wanted = options.only or [*PROGRAMS, *AGAIN.values()]
    model = full_size_model(folder) if any("ViT-B" in name for name in wanted) else folder
    for name in wanted:
        again = next((first for first, second in AGAIN.items() if second == name), None)
        program = f"MODEL = {str(model)!r}; {PROGRAMS[again or name]}"
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for turn in range(options.rounds + 1):
            for side, source in sides.items():
                cache = folder / f"cache-{side}-{name if again else turn}"
                measured = run(program, source, cache)
                if not again:
                    shutil.rmtree(cache, ignore_errors=True)
                if turn:  # the first fills the caches of files and of compiled code
                    found[side].append(measured)
        rows.append({"program": name})
        for side, values in found.items():
            seconds, memory = zip(*values, strict=True)
            rows[-1][side] = {
                "cpu_seconds": round(statistics.median(seconds), 2),
                "fastest": round(min(seconds), 2),
                "peak_mib": round(statistics.median(memory)),
            }
        print(rows[-1], flush=True)
    if options.only:
        return
    size = (model / "model.safetensors").stat().st_size / 2**20 if model != folder else None
    told = provenance().replace(command=("start_up.py", "--before", "SRC", "--rounds", str(options.rounds)))
    store("start_up", {"mib_of_weights": size and round(size), "programs": rows}, told)


if __name__ == "__main__":
    main()
