"""A mask method, trained where memory is short in the first process alone; part of the program `processes`."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from lightning_fabric import Fabric

from ahs_seg.methods.objective import SumObjective
from ahs_seg.training import first_step
from ahs_seg.training.loop import fit
from tests.support.ebseg import small
from tests.support.small_methods import EBSEG_SMALL
from tests.support.training import TinyDataset, flip, tiny_recipe

CASE = "masks"
SHORT, AMPLE = 2**20, 2**40


def run(directory: Path, fabric: Fabric) -> None:
    """Train two steps; `free_bytes` is replaced, since no process can take the memory of the machine."""
    free = AMPLE if fabric.global_rank else SHORT
    with mock.patch.object(first_step, "free_bytes", return_value=free):
        fit(
            tiny_recipe(steps=2, devices=fabric.world_size),
            small(),
            TinyDataset(),
            directory / CASE,
            augment=flip,
            objective=SumObjective([EBSEG_SMALL.term()]),
            resume=True,
            progress=False,
            fabric=fabric,
        )
