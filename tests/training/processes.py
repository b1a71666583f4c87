"""Train in as many processes as asked for, started as a user's command is; run by `test_processes.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ahs_seg.training.launch import launch
from ahs_seg.training.loop import train
from ahs_seg.training.recipe import Recipe
from tests.training.tiny import TinyDataset, TinyMethod, flip, tiny_recipe

CASES: dict[str, dict[str, object]] = {
    "plain": {},
    "names": {"names_per_step": 3},
    "parts": {"accumulation": 2, "checkpointing": True},
}


def recipe(case: str, devices: int) -> Recipe:
    return tiny_recipe(steps=4, checkpoint_every=1, keep_last=9, evaluate_every=4, devices=devices, **CASES[case])


def main(directory: Path, devices: int) -> None:
    torch.set_num_threads(1)
    fabric = launch(recipe("plain", devices))
    for case in CASES:
        train(
            recipe(case, devices),
            TinyMethod(dropout=0),
            TinyDataset(),
            directory / case,
            augment=flip,
            evaluate=lambda method: {"miou": float(method.scale.detach())},
            resume=True,
            progress=False,
            fabric=fabric,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
