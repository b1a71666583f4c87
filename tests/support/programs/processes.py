"""Train in as many processes as asked for, started as a user's command is; then half of it again, resumed.

The fixture `launches` (`tests/training/conftest.py`) runs it: once for all cases, since most of its time is imports.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ahs_seg.methods.cost.class_attention import ClassAggregation
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training.launch import launch
from ahs_seg.training.loop import fit
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import CHECKPOINTS
from ahs_seg.types import Output
from tests.support.programs import masks, prototypes
from tests.support.training import TinyDataset, TinyMethod, flip, tiny_recipe


class Unpadded(TinyMethod):
    """Its class attention pads to as many classes as there are, so that its padding has no part in any result."""

    def __init__(self) -> None:
        super().__init__(dropout=0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embed, self.read = nn.Linear(1, 4), nn.Linear(4, 1)
            self.classwise = ClassAggregation(4, 4, heads=2, pad_length=NAMES, kind="linear")

    def forward(self, images: Tensor, text: Tensor) -> Output:
        output = super().forward(images, text)
        maps, count = self.embed(output.logits[..., None]), len(text)
        terms = self.classwise.guide(torch.zeros(1, count, 4))
        summary = self.classwise.combine([self.classwise.summarise(maps, terms, 1)], count)
        mixed = self.classwise(maps, terms, summary, count=count, pooling=1)
        return replace(output, logits=self.read(mixed)[..., 0])


NAMES = 3
METHODS: dict[str, Callable[[], nn.Module]] = {"unpadded": Unpadded}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "names": {"names_per_step": NAMES},
    "unpadded": {"names_per_step": NAMES},
    "parts": {"accumulation": 2, "checkpointing": True},
}


def recipe(case: str, devices: int) -> Recipe:
    return tiny_recipe(steps=4, checkpoint_every=1, keep_last=9, evaluate_every=4, devices=devices, **CASES[case])


def run_cases(directory: Path, fabric: Fabric) -> None:
    """Train every case in a folder of its own."""
    for case in CASES:
        fit(
            recipe(case, fabric.world_size),
            METHODS.get(case, lambda: TinyMethod(dropout=0))(),
            TinyDataset(),
            directory / case,
            objective=SegmentationObjective(),
            augment=flip,
            evaluate=lambda method: {"miou": float(method.scale.detach())},
            resume=True,
            progress=False,
            fabric=fabric,
        )


def cut(whole: Path, resumed: Path) -> None:
    """Copy runs as they were after their second step."""
    shutil.copytree(whole, resumed)
    for case in (*CASES, *prototypes.CASES):
        for step in (3, 4):
            shutil.rmtree(resumed / case / CHECKPOINTS / f"step-{step:08d}", ignore_errors=True)


def main(whole: Path, devices: int, resumed: Path | None = None) -> None:
    """Train all cases, with one device in the calling process; then those that are cut after the second step."""
    fabric = launch(recipe("plain", devices))
    run_cases(whole, fabric)
    prototypes.run_cases(whole, fabric)
    masks.run(whole, fabric)
    if resumed is not None:
        fabric.barrier()
        if fabric.is_global_zero:
            cut(whole, resumed)
        fabric.barrier()
        run_cases(resumed, fabric)
        prototypes.run_cases(resumed, fabric)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
