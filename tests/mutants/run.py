"""`make mutants`: makes mutants of the modules in `places`, runs their tests on each, and keeps what was found.

Packages of others are imported once; every mutant gets a forked process, a copy of the package with one file changed,
and three times the time that its tests need without a change, plus ten seconds. A second call goes on where the first
one ended.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.changes import Mutant, mutants
from tests.mutants.places import EQUIVALENT, PLACES

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests/mutants/record.json"
WARM = ("torch", "scipy.optimize", "transformers.models.mask2former.modeling_mask2former", "lightning_fabric", "pytest")
"""What is imported before the forks."""
OUTPUT = "output.txt"


def chosen(seed: int, count: int, places: Iterable[str]) -> list[tuple[str, Mutant]]:
    """`count` mutants, as many of every module as it has or as its share is, in an order that only the seed decides."""
    rng = random.Random(seed)
    every = {name: mutants((ROOT / "src/ahs_seg" / name).read_text(encoding="utf-8")) for name in places}
    for found in every.values():
        rng.shuffle(found)
    turns = [(turn, name) for name, found in every.items() for turn in range(len(found))]
    return [(name, every[name][turn]) for turn, name in sorted(turns, key=lambda one: one[0])[:count]]


def outcome(copy: Path, files: tuple[str, ...], limit: float) -> str:
    """How the tests end on the package in `copy`: "noticed", "survived" or "too long"."""
    child = os.fork()
    if not child:
        os.setsid()
        _test(copy, files)
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "noticed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "too long"


def _test(copy: Path, files: tuple[str, ...]) -> None:
    """In the forked process: run the tests with the package in `copy`, and end."""
    import pytest

    os.chdir(ROOT)
    said = os.open(copy / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.path[:0] = [str(copy), str(ROOT)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(copy), str(ROOT)])
    code = 99
    try:
        wanted = [str(ROOT / "tests" / file) for file in files]
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not browser", *wanted]))
    finally:
        os._exit(code)


def main() -> None:
    """Try mutants, print those that no test noticed, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--places", nargs="*", default=list(PLACES), metavar="MODULE")
    parser.add_argument("--minutes", type=float, default=600)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for package in WARM:
        importlib.import_module(package)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    ends = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "src/ahs_seg", copy / "ahs_seg", ignore=shutil.ignore_patterns("__pycache__"))
        seconds: dict[tuple[str, ...], float] = {}
        for name, mutant in chosen(asked.seed, asked.count, asked.places):
            key = f"{name}: {mutant.key}"
            if key in record or time.monotonic() > ends:
                continue
            files = PLACES[name]
            if files not in seconds:
                began = time.monotonic()
                if outcome(copy, files, 3600) != "survived":
                    said = (copy / OUTPUT).read_text(encoding="utf-8", errors="replace")
                    sys.exit(f"{said[-3000:]}\n{', '.join(files)}: the tests fail without a change")
                seconds[files] = time.monotonic() - began
            changed = copy / "ahs_seg" / name
            before = changed.read_text(encoding="utf-8")
            try:
                changed.write_text(mutant.source, encoding="utf-8")
                record[key] = outcome(copy, files, 3 * seconds[files] + 10)
            finally:
                changed.write_text(before, encoding="utf-8")
            RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print(f"{record[key]:9} {name}:{mutant.line} {mutant.key}", flush=True)
    print(summary(record))


def summary(record: dict[str, str]) -> str:
    """How many mutants were noticed, and those that were not."""
    survived = sorted(key for key, found in record.items() if found == "survived")
    counts = Counter("equivalent" if key in EQUIVALENT else record[key] for key in record)
    real = len(record) - counts["equivalent"]
    lines = [f"{real - counts['survived']} of {real} mutants were noticed, {counts['equivalent']} change nothing"]
    lines += [f"  {key}: {EQUIVALENT.get(key, 'no test notices')}" for key in survived]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
