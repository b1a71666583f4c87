"""Methods with prototypes, trained in as many processes as a fabric has; part of the program `processes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import nn

from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.training.loop import fit
from ahs_seg.training.recipe import Recipe
from tests.support.hyperspherical import Built, build, hps, lite
from tests.support.training import COLOURS, TinyDataset, flip, tiny_recipe

CASES: dict[str, tuple[Built, dict[str, Any]]] = {
    "hps": (hps("hpa"), {}),
    "lite": (lite("prototypes"), {"names_per_step": 4}),
    "lite_parts": (lite("prototypes"), {"accumulation": 2}),
}


def recipe(case: str, devices: int) -> Recipe:
    return tiny_recipe(steps=4, checkpoint_every=2, keep_last=9, devices=devices, **CASES[case][1])


def of_training(config: Built) -> Built:
    """The config for the classes of the data."""
    prototypes = config.cost.prototypes
    assert prototypes is not None
    cost = config.cost.replace(prototypes=prototypes.replace(count=len(COLOURS)))
    return config.replace(cost=cost)


def run_cases(directory: Path, fabric: Fabric) -> None:
    """Train every case in a folder of its own; what each process holds of the prototypes lies beside it."""
    start = nn.functional.normalize(torch.randn(6, 24, generator=torch.Generator().manual_seed(5)), dim=-1)
    classes = TrainingClasses(tuple(COLOURS.labels), (None,) * 6, lambda: start)
    for case, (config, _) in CASES.items():
        sized = of_training(config)
        method = build(sized)
        fit(
            recipe(case, fabric.world_size),
            method,
            TinyDataset(),
            directory / case,
            augment=flip,
            objective=sized.objective(method, classes),
            resume=True,
            progress=False,
            fabric=fabric,
        )
        state = {name: value.contiguous() for name, value in method.parts.state_dict().items()}
        save_file(state, directory / f"{case}-{fabric.global_rank}.safetensors")
