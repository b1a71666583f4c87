"""Whether activations are recomputed, which changes no weight and calls nothing twice without need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.methods.objective import SegmentationObjective, SumObjective
from ahs_seg.training import first_step
from ahs_seg.training.recipe import TrainingSetupError
from ahs_seg.types import TrainingForward
from tests.support.programs import masks
from tests.support.scan import build
from tests.support.small_methods import SCAN_SMALL
from tests.support.training import TinyMethod, tiny_recipe
from tests.support.training_runs import assert_same_run, cat_seg, contents, run

MIB = 2**20


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int | None) -> None:
    monkeypatch.setattr(first_step, "free_bytes", lambda _: free)


@pytest.mark.parametrize("build", [TinyMethod, cat_seg])
def test_a_run_short_of_memory_recomputes_and_gives_the_same_weights(build, tmp_path, monkeypatch):
    recipe = tiny_recipe(steps=3)
    for name, free, chosen in (("short", MIB // 4, True), ("long", 2**40, False), ("unknown", None, False)):
        with_memory(monkeypatch, free)
        method = build()
        run(recipe, tmp_path / name, method)
        assert method.backbone.checkpointing is chosen
        assert contents(tmp_path / name, 3).state["recomputing"] is chosen
    weights = [contents(tmp_path / name, 3).tensors for name in ("short", "long")]
    assert {key for key in weights[0] if not torch.equal(weights[0][key], weights[1][key])} == set()
    assert_same_run(tmp_path / "long", tmp_path / "unknown", 3)


class Collecting(SegmentationObjective):
    """Collects the images of a step, and takes more memory after that while activations are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self.updates: list[int] = []

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        self.images += len(view.labels)
        if not method.backbone.checkpointing:
            torch.zeros(64 * MIB)
        return super().forward(method, view)

    def update(self, method: nn.Module) -> None:
        self.updates.append(self.images)
        self.images = 0

    def forget(self) -> None:
        self.images = 0


def test_what_the_first_try_collected_does_not_count_twice(tmp_path, monkeypatch):
    with_memory(monkeypatch, 64 * MIB)
    objective, method = SumObjective([Collecting()]), TinyMethod()
    run(tiny_recipe(steps=2), tmp_path, method, objective=objective)
    assert method.backbone.checkpointing is True
    assert objective.terms[0].updates == [4, 4]


def test_a_run_goes_on_as_it_began_whatever_is_free(tmp_path, monkeypatch):
    with_memory(monkeypatch, MIB // 4)
    run(tiny_recipe(steps=3), tmp_path, TinyMethod())
    with_memory(monkeypatch, 2**40)
    method = TinyMethod()
    run(tiny_recipe(steps=3), tmp_path, method, resume=True)
    assert method.backbone.checkpointing is True
    method = TinyMethod()
    run(tiny_recipe(steps=3, checkpointing=False), tmp_path, method, resume=True)
    assert method.backbone.checkpointing is False, "the recipe says so"


def test_a_forward_pass_runs_twice_only_if_it_did_not_fit(tmp_path, monkeypatch):
    counts = {}
    for name, free in (("short", 2 * MIB), ("long", 2**40)):
        with_memory(monkeypatch, free)
        method, asked = cat_seg(), list[int]()
        method.register_forward_pre_hook(lambda *_, asked=asked: asked.append(1))
        run(tiny_recipe(steps=2), tmp_path / name, method)
        counts[name] = len(asked)
    assert counts == {"short": counts["long"] + 1, "long": counts["long"]}


@pytest.mark.slow
@pytest.mark.xdist_group("launch")  # what the fixture trains is trained once
@pytest.mark.parametrize("devices", ["1", "2"])
def test_one_process_short_of_memory_lets_all_of_them_recompute(launches, devices):
    assert contents(launches / devices / masks.CASE, 2).state["recomputing"] is True


def test_what_cannot_be_recomputed_is_kept(tmp_path, monkeypatch):
    """SCAN trains decoders, and its CLIP, which could recompute, is frozen."""
    with_memory(monkeypatch, MIB // 4)
    recipe, method, objective = tiny_recipe(steps=1), build(), SumObjective([SCAN_SMALL.term()])
    run(recipe, tmp_path / "auto", method, objective=objective)
    assert contents(tmp_path / "auto", 1).state["recomputing"] is False
    with pytest.raises(TrainingSetupError, match="ScanSegmenter does not support activation checkpointing"):
        run(recipe.replace(checkpointing=True), tmp_path / "true", method, objective=objective)
    assert not (tmp_path / "true").exists()
