"""Runs that are killed at random moments: nothing is half-written, and resumed they end as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaign.driver import end, judge, start
from tests.campaign.kills import Operation, operations
from tests.campaign.outputs import differences, leftovers, stable
from tests.campaign.record import Part

NAMES = ("segment", "train", "evaluate", "prepare", "ablate", "quickstart", "import", "replace a model")


def named(model: Path, name: str) -> Operation:
    return next(one for one in operations(model) if one.name == name)


def killed_often(part: Part, tmp_path: Path, operation: Operation, *, seed: int, kills: int) -> None:
    """Kill a run `kills` times, a few times in a row before it may end; its end is that of a whole run."""
    draw = random.Random(f"{seed} {operation.name}")
    whole = tmp_path / "whole"
    operation.furnish(whole)
    began = time.monotonic()
    found = operation.allowed(judge(f"{operation.name}, not killed", whole, operation.call, *operation.words))
    finished = stable(whole / "inside" / operation.output)
    part.add(found, [] if found.kind == "done" and finished else ["there is no result"])
    seconds, killed, rounds = time.monotonic() - began, 0, 0
    while killed < kills and rounds < 3 * kills and finished:
        rounds += 1
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        operation.furnish(folder)
        words = operation.words
        for _ in range(draw.randint(1, 5)):
            started, began = start(folder, operation.call, *words), time.monotonic()
            started.process.join(draw.uniform(0, 1.05 * seconds))
            running = started.process.is_alive()
            seconds = seconds if running else min(seconds, time.monotonic() - began)  # the first run is the slowest
            end(started.process)
            verdict = operation.allowed(started.verdict(f"{operation.name}, kill {killed}"))
            verdict = replace(verdict, kind="killed") if running else verdict
            part.add(verdict, operation.half_written(folder / "inside", finished))
            killed, words = killed + running, operation.again
        name = f"{operation.name}, resumed after {killed} kills"
        found = operation.allowed(judge(name, folder, operation.call, *operation.again))
        part.add(found, differences(stable(folder / "inside" / operation.output), finished, found.kind))
        part.add(found, leftovers(folder / "inside"), cases=0)
    if killed < kills:
        part.faults.append(f"{operation.name}: was killed {killed} times, {kills} were asked")


@pytest.mark.xdist_group("campaign")
def test_some_kills(part: Part, tmp_path: Path, model: Path, seed: int) -> None:
    killed_often(part, tmp_path, named(model, "segment"), seed=seed, kills=2)
    assert part.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_hundred_kills(part: Part, tmp_path: Path, model: Path, seed: int, name: str) -> None:
    operation = named(model, name)
    killed_often(part, tmp_path, operation, seed=seed, kills=operation.kills)
    part.write(f"killed: {name}")
    assert part.faults == []
