"""Train, be killed at random moments, resume until done; print what was found as JSON. Run by `test_killed.py`.

Each attempt is a fork of this process, which imports everything once and never trains itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo  # imported by the first optimizer; here, so that no fork has to
import torch.utils.tensorboard  # imported by the first logged row

from ahs_seg.training import checkpoint
from ahs_seg.training.loop import fit
from ahs_seg.training.run import CHECKPOINTS
from tests.support.training import NoisyObjective, TinyDataset, TinyMethod, flip, tiny_recipe

EVERY = 3


def attempt(directory: Path, steps: int, workers: int) -> int:
    """Start training in a new process, from the newest checkpoint if there is one."""
    child = os.fork()
    if child:
        return child
    torch.set_num_threads(1)
    recipe = tiny_recipe(steps=steps, checkpoint_every=EVERY, evaluate_every=10, keep_last=2, workers=workers)
    method, objective = TinyMethod(), NoisyObjective(python=True)
    fit(
        recipe,
        method,
        TinyDataset(),
        directory,
        augment=flip,
        objective=objective,
        evaluate=lambda evaluated: {"miou": float(evaluated.scale.detach())},
        resume=True,
        progress=False,
    )
    os._exit(0)


def finish(child: int) -> bool:
    """Whether a process ended by itself; a failure other than being killed ends everything."""
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"training failed with exit status {os.WEXITSTATUS(status)}")
    return not os.WIFSIGNALED(status)


def rows(directory: Path) -> int:
    path = directory / "train.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


def wait(directory: Path, steps: int, draw: random.Random) -> None:
    """Until a random moment: some steps on, or (one time in four) wherever the start of the process has got."""
    if draw.random() < 0.25:
        time.sleep(draw.uniform(0, 0.3))
        return
    goal, patience = rows(directory) + draw.randint(0, 8), time.monotonic() + 30
    while rows(directory) < min(goal, steps - 1) and time.monotonic() < patience:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.03))


def main(directory: Path, steps: int, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    if not finish(attempt(directory / "whole", steps, workers=0)):
        raise SystemExit("the uninterrupted run was killed")
    cut = directory / "cut"
    lost, killed, faults = [], 0, []
    while killed < kills:
        child = attempt(cut, steps, workers=killed % 2)
        wait(cut, steps, draw)
        os.kill(child, signal.SIGKILL)
        if finish(child):
            break
        killed += 1
        path, wrong = checkpoint.newest(cut / CHECKPOINTS)
        faults += wrong
        lost.append(rows(cut) - (checkpoint.read(path).step if path else 0))
    if not finish(attempt(cut, steps, workers=0)):
        raise SystemExit("the last run was killed")
    print(json.dumps({"killed": killed, "lost": lost, "faults": faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
