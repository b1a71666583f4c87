"""Trials before a run: whether activations are recomputed, which changes no weight, and what a step needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training import trial
from ahs_seg.training.class_sampling import NameSource
from ahs_seg.training.forward import TrainingStep, set_checkpointing
from ahs_seg.training.launch import create_fabric
from ahs_seg.training.memory import SHARE, TensorBytes
from ahs_seg.training.run import start_run
from ahs_seg.training.sampler import StepDataset
from ahs_seg.training.trial import StepMemory, TrainingEstimate
from tests.support.training import TinyDataset, TinyMethod, tiny_recipe
from tests.support.training_runs import assert_same_run, cat_seg, contents, run

MIB = 2**20


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int | None) -> None:
    monkeypatch.setattr(trial, "free_bytes", lambda _: free)


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


def test_a_step_of_many_images_is_foretold_from_one_and_two(tmp_path):
    """The error that is promised: 5 % of the tensors of a step."""
    recipe, data = tiny_recipe(batch_size=6), TinyDataset()
    step = TrainingStep(cat_seg(), SegmentationObjective()).train()
    state, _ = start_run(recipe, step, data, tmp_path, settings={}, fabric=create_fabric(recipe), resume=False)
    (part,) = StepDataset(data, recipe, None, 0, 1)[0]
    names = NameSource(data.vocabulary, recipe.prompts, step.backbone.tokenizer)(torch.arange(6))
    found = trial.estimate_step(state, names, part)
    for enabled, expected in ((False, found.kept), (True, found.recomputed)):
        set_checkpointing(step.method, enabled=enabled)
        for value in step.parameters():
            value.grad = torch.zeros_like(value) if value.requires_grad else None
        with TensorBytes() as counted:
            trial.whole_step(state, names, part, 6)
        assert expected.of(6) == pytest.approx(counted.peak, rel=0.05)
    assert found.recomputed.per_image < found.kept.per_image


def test_the_largest_batch_is_the_largest_that_fits():
    step = StepMemory(fixed=100, per_image=10, seconds=1.0)
    assert [step.largest(free) for free in (90, 109, 110, 149, 150)] == [0, 0, 1, 4, 5]
    found = TrainingEstimate(50 * MIB, 20 * MIB, replace(step, fixed=0, per_image=MIB), None, 100 * MIB, 2, 7)
    assert found.largest(found.kept) == int(SHARE * 100) - 20
    text = "\n".join(found.lines())
    assert "7 classes a step, 2 image(s) at once; free memory 100 MiB" in text
    assert "largest batch that fits 60" in text
    assert "activations recomputed: this method cannot" in text
    assert "not known here" in "\n".join(replace(found, free=None).lines())
