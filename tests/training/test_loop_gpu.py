"""The promises of the loop on a CUDA device: every precision trains, and a run repeats and resumes bit for bit."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ahs_seg.training.run import CHECKPOINTS
from tests.support.training import tiny_recipe
from tests.support.training_runs import assert_same_run, cat_seg, run, table

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

CASES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "fsdp": {"strategy": "fsdp"},
    "ddp": {"strategy": "ddp", "checkpointing": True},
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, case: str) -> None:
    recipe = tiny_recipe(accelerator="cuda", deterministic=True, keep_last=9, **CASES[case])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(recipe, whole, cat_seg())
    shutil.copytree(whole, cut)
    for step in (6, 8):
        shutil.rmtree(cut / CHECKPOINTS / f"step-{step:08d}")
    run(recipe, cut, cat_seg(), resume=True)
    assert_same_run(whole, cut, 8)


def test_a_gpu_trains_as_the_cpu_does(tmp_path: Path) -> None:
    for accelerator in ("cpu", "cuda"):
        run(tiny_recipe(accelerator=accelerator), tmp_path / accelerator, cat_seg(), objective=None)
    losses = [[float(row["loss"]) for row in table(tmp_path / name)] for name in ("cpu", "cuda")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
