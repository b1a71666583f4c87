import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.methods import HClipConfig
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training import loop
from ahs_seg.training.checkpoint import TrainingCheckpointError
from ahs_seg.training.loop import TrainingDivergedError
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.training.run import CHECKPOINTS, load_weights
from ahs_seg.tuners import Orthogonal
from tests.support.training import TinyMethod, tiny_recipe
from tests.support.training_runs import SMALL, assert_same_run, cat_seg, contents, gradients, run, small_backbone, table


def h_clip() -> nn.Module:
    torch.manual_seed(0)
    return HClipConfig(cost=SMALL, tuner=Orthogonal(block=8)).compose(small_backbone())


RESUMED: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "fp32": (TinyMethod, {}),
    "bf16": (TinyMethod, {"precision": "bf16"}),
    "fp16": (TinyMethod, {"precision": "fp16"}),
    "accumulation": (TinyMethod, {"accumulation": 2}),
    "workers": (TinyMethod, {"workers": 2}),
    "names": (TinyMethod, {"names_per_step": 3}),
    "checkpointing": (TinyMethod, {"checkpointing": True}),
    "deterministic": (TinyMethod, {"deterministic": True}),
    "warm-up": (TinyMethod, {"optimizer": OptimizerConfig(warmup_steps=5, clip_norm=None)}),
    "cat_seg": (cat_seg, {}),
    "h_clip, bf16": (h_clip, {"precision": "bf16", "checkpointing": True}),
}


@pytest.mark.parametrize("case", RESUMED)
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, case: str) -> None:
    build, changes = RESUMED[case]
    recipe = tiny_recipe(keep_last=9, **changes)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    method = build()
    before = {name: value.clone() for name, value in method.named_parameters()}
    result = run(recipe, whole, method)
    assert result.steps == 8
    assert result.last == whole / CHECKPOINTS / "step-00000008"
    shutil.copytree(whole, cut)
    for step in (6, 8):
        shutil.rmtree(cut / CHECKPOINTS / f"step-{step:08d}")
    run(recipe, cut, build(), resume=True)
    assert_same_run(whole, cut, 8)
    moved = {name for name, value in method.named_parameters() if not torch.equal(value, before[name])}
    trained = {name for name, value in method.named_parameters() if value.requires_grad}
    assert moved <= trained
    assert len(moved) >= len(trained) - 4  # padding tokens have no gradient when nothing is padded


def test_every_choice_matters_to_the_run(tmp_path: Path) -> None:
    """The cases above would mean nothing if a choice were ignored."""
    weights = {}
    for case in ("fp32", "bf16", "fp16", "accumulation", "names", "warm-up"):
        run(tiny_recipe(**RESUMED[case][1]), tmp_path / case)
        weights[case] = contents(tmp_path / case, 8).tensors["weight/method.norm.weight"].numpy().tobytes()
    assert len(set(weights.values())) == len(weights)


def test_resuming_a_finished_run_does_nothing(tmp_path: Path) -> None:
    first = run(tiny_recipe(evaluate_every=4), tmp_path, evaluate=lambda _: {"miou": 0.5})
    method = TinyMethod(seed=0)
    second = run(tiny_recipe(evaluate_every=4), tmp_path, method, resume=True)
    assert (second.steps, second.scores, second.last) == (8, {"miou": 0.5}, first.last)
    assert method.forwards == 8
    assert len(table(tmp_path)) == 8


def test_training_learns(tmp_path: Path) -> None:
    recipe = tiny_recipe(steps=120, checkpoint_every=0, optimizer=OptimizerConfig(lr=0.03, clip_norm=1.0))
    result = run(recipe, tmp_path, TinyMethod(dropout=0))
    losses = [float(row["loss_bce"]) for row in table(tmp_path)]
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    assert (result.last, result.best) == (None, None)


def test_accumulated_gradients_are_those_of_the_large_batch(tmp_path: Path) -> None:
    found = []
    for parts in (1, 2, 4):
        recipe = tiny_recipe(steps=1, accumulation=parts, optimizer=OptimizerConfig(clip_norm=None))
        run(recipe, tmp_path / str(parts), TinyMethod(dropout=0), objective=SegmentationObjective())
        found.append(gradients(tmp_path / str(parts)))
    assert len(found[0]) > 8
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-8, msg=name)


def test_gradients_are_clipped_by_their_total_norm(tmp_path: Path) -> None:
    recipe = tiny_recipe(steps=1, optimizer=OptimizerConfig(clip_norm=0.01))
    run(recipe, tmp_path)
    total = torch.stack([value.norm() for value in gradients(tmp_path).values()]).norm()
    assert float(total) == pytest.approx(0.01, rel=1e-3)
    assert float(table(tmp_path)[0]["gradient_norm"]) > 0.02


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_nearly_the_gradients_of_full(tmp_path: Path, precision: str) -> None:
    found: dict[str, torch.Tensor] = {}
    for name in ("fp32", precision):
        recipe = tiny_recipe(steps=1, precision=name, optimizer=OptimizerConfig(clip_norm=None))
        run(recipe, tmp_path / name, TinyMethod(dropout=0))
        found[name] = torch.cat([value.flatten() for value in gradients(tmp_path / name).values()])
    assert nn.functional.cosine_similarity(found["fp32"], found[precision], dim=0) > 0.99
    assert not torch.equal(found["fp32"], found[precision])


def test_fp16_skips_overflowing_steps_and_scales_less(tmp_path: Path) -> None:
    def steep(method, view):
        return {"steep": view.output.logits.float().mean() * 20}

    recipe = tiny_recipe(precision="fp16", keep_last=9)
    run(recipe, tmp_path / "whole", objective=steep)
    norms = [row["gradient_norm"] for row in table(tmp_path / "whole")]
    assert norms[0] in ("inf", "nan")
    assert float(norms[-1]) > 0
    state: Any = contents(tmp_path / "whole", 8).state["precision"]
    assert state["scale"] == 65536 / 2 ** sum(norm in ("inf", "nan") for norm in norms)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for step in (6, 8):
        shutil.rmtree(tmp_path / "cut" / CHECKPOINTS / f"step-{step:08d}")
    run(recipe, tmp_path / "cut", objective=steep, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "cut", 8)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tmp_path: Path) -> None:
    calls = 0

    def bursting(method, view):
        nonlocal calls
        calls += 1
        return {"fine": view.output.logits.mean(), "bursting": view.output.logits.mean() / (calls != 5)}

    with pytest.raises(TrainingDivergedError, match=r"step 5: loss 'bursting' is -?inf"):
        run(tiny_recipe(), tmp_path, objective=bursting)
    assert contents(tmp_path, 3).step == 3


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="step 1: the norm of the gradients is nan"):
        run(tiny_recipe(), tmp_path, objective=lambda _, view: {"root": (view.output.logits * 0).abs().sqrt().sum()})


def test_a_run_that_diverged_leaves_nothing_to_the_next_one(tmp_path: Path) -> None:
    method = TinyMethod(dropout=0)
    with pytest.raises(TrainingDivergedError):
        run(tiny_recipe(), tmp_path / "0", method, objective=lambda _, view: {"nan": view.output.logits.sum() * np.nan})
    for directory, one in (("after", method), ("alone", TinyMethod(dropout=0))):
        run(tiny_recipe(steps=2), tmp_path / directory, one)
    assert table(tmp_path / "after") == table(tmp_path / "alone")


def test_the_method_is_given_whole_weights_after_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, gathered = TinyMethod(), list[nn.Module]()
    monkeypatch.setattr(loop, "gather", gathered.append)  # what it does with shards: test_launch.py
    run(tiny_recipe(steps=1), tmp_path, method)
    assert [core.method for core in gathered] == [method]


def test_weights_of_a_checkpoint_return(tmp_path: Path) -> None:
    trained, other = TinyMethod(), TinyMethod()
    result = run(tiny_recipe(), tmp_path, trained)
    assert result.last is not None
    assert load_weights(other, result.last) == 8
    assert all(map(torch.equal, trained.state_dict().values(), other.state_dict().values()))
    with pytest.raises(TrainingCheckpointError, match="other frozen weights"):
        load_weights(TinyMethod(seed=1), result.last)


def test_generators_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    def draw() -> tuple[float, float]:
        return np.random.rand(), float(torch.rand(()))

    def seed() -> None:
        np.random.seed(1), torch.manual_seed(1)

    method = TinyMethod()
    seed()
    expected = draw()
    seed()
    run(tiny_recipe(deterministic=True), tmp_path, method)
    assert draw() == expected
    assert not torch.are_deterministic_algorithms_enabled()


def test_text_is_encoded_for_the_names_of_the_step_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = TinyMethod()
    counts: list[int] = []
    encode = method.backbone.encode_text

    def counted(tokens: Tokens) -> torch.Tensor:
        counts.append(len(tokens))
        return encode(tokens)

    monkeypatch.setattr(method.backbone, "encode_text", counted)
    run(tiny_recipe(names_per_step=5, checkpoint_every=0), tmp_path, method)
    assert counts == [5] * 8
