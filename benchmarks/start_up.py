"""Processor time and memory of starting: imports, `ahs-seg --help`, training's import, and a first answer.

    python -m benchmarks.start_up [--before SRC] [--rounds 5]

Each program runs in a process of its own with one thread. With `--before`, the `src` folder of another version, both
versions run in turns. The first answer is that of training-free segmentation with the packaged CLIP on a drawn scene.
Writes `benchmarks/results/start_up.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results" / "start_up.json"
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
}


TOLD: Final = """import atexit, sys
status = open("/proc/self/status")
atexit.register(lambda: sys.stderr.write([line for line in status if line.startswith("VmHWM")][0]))
"""
"""Makes a program tell its peak memory; that of `wait4` would be no less than the peak of this process."""


def run(program: str, source: Path) -> tuple[float, float]:
    """Processor seconds and peak memory in MiB of a Python program with the package in `source` (Linux only)."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sides = {"now": ROOT / "src"} | ({} if options.before is None else {"before": options.before.resolve()})
    rows: list[dict[str, Any]] = []
    for name, program in PROGRAMS.items():
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for turn in range(options.rounds + 1):
            for side, source in sides.items():
                measured = run(program, source)
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
    told = provenance().replace(command=("start_up.py", "--before", "SRC", "--rounds", str(options.rounds)))
    write_text(RESULTS, json.dumps({"programs": rows, "provenance": told.model_dump(mode="json")}, indent=1) + "\n")


if __name__ == "__main__":
    main()
