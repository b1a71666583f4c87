"""What runs of training leave behind, read and compared; and runs of the tiny method."""

import csv
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ahs_seg.methods import CatSegConfig, CostConfig
from ahs_seg.training import checkpoint
from ahs_seg.training.loop import TrainResult, fit
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import CHECKPOINTS
from tests.support.builders import random_backbone
from tests.support.training import SIDE, NoisyObjective, TinyDataset, TinyMethod, flip

SMALL = CostConfig(
    dim=16,
    heads=2,
    layers=1,
    window=4,
    appearance_dim=8,
    text_guidance_dim=8,
    upsampled_dims=(8, 8),
    decoder_dims=(16, 16),
    decoder_guidance_dims=(8, 8),
    pad_length=8,
)


def small_backbone():
    return random_backbone(depth=3, width=16, dim=16, patch=4, resolution=SIDE, context=60)


def cat_seg() -> nn.Module:
    torch.manual_seed(0)
    return CatSegConfig(cost=SMALL).compose(small_backbone())


def run(recipe: Recipe, directory: Path, method: nn.Module | None = None, **options: Any) -> TrainResult:
    options = {"augment": flip, "objective": NoisyObjective(), "progress": False, **options}
    return fit(recipe, method or TinyMethod(), TinyDataset(), directory, **options)


def contents(directory: Path, step: int) -> checkpoint.Checkpoint:
    return checkpoint.read(directory / CHECKPOINTS / f"step-{step:08d}")


def table(directory: Path) -> list[dict[str, str]]:
    with (directory / "train.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(first: Path, second: Path, step: int) -> None:
    mine, other = contents(first, step), contents(second, step)
    assert mine.tensors.keys() == other.tensors.keys()
    assert [key for key in mine.tensors if not torch.equal(mine.tensors[key], other.tensors[key])] == []
    assert mine.state["precision"] == other.state["precision"]
    assert table(first) == table(second)


def gradients(directory: Path) -> dict[str, torch.Tensor]:
    """Those of the only step so far: Adam's first moment is a tenth of it."""
    tensors = contents(directory, 1).tensors
    return {key: tensors[key] * 10 for key in sorted(tensors) if key.endswith("exp_avg")}
