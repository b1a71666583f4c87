"""Evaluations during a run: which checkpoint is the best, and what becomes of one that fails."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ahs_seg.config import ConfigError
from ahs_seg.errors import RunEndedError
from ahs_seg.training import checkpoint, loop
from ahs_seg.training.callbacks import CallbackError, TrainingCallback, TrainingProgress
from ahs_seg.training.run import CHECKPOINTS, load_weights
from tests.support.training import TinyMethod, tiny_recipe
from tests.support.training_runs import contents, run, table


def test_evaluation_sees_the_method_at_rest_and_the_best_is_kept(tmp_path: Path) -> None:
    method = TinyMethod()
    scores = iter([0.1, 0.9, float("nan"), 0.3])

    def evaluate(evaluated: nn.Module) -> dict[str, float]:
        assert evaluated is method
        assert not evaluated.training
        assert not torch.is_grad_enabled()
        np.random.rand(), torch.rand(3)
        return {"miou": next(scores), "other": 1.0}

    recipe = tiny_recipe(evaluate_every=2, keep_last=1, checkpoint_every=100)
    result = run(recipe, tmp_path, method, evaluate=evaluate)
    assert result.scores == {"miou": 0.3, "other": 1.0}
    assert result.best == tmp_path / CHECKPOINTS / "step-00000004"
    assert [path.name[-1] for path in checkpoint.find(tmp_path / CHECKPOINTS)] == ["4", "8"]
    assert method.training
    run(tiny_recipe(), tmp_path / "alone")
    assert table(tmp_path) == table(tmp_path / "alone")
    rows = (tmp_path / "evaluation.csv").read_text().splitlines()
    assert rows == ["step,miou,other", "2,0.1,1.0", "4,0.9,1.0", "6,nan,1.0", "8,0.3,1.0"]
    assert load_weights(TinyMethod(), result.best) == 4


@pytest.mark.parametrize("checkpoint_every", [0, 100])
def test_a_failed_evaluation_costs_no_step(tmp_path: Path, checkpoint_every: int) -> None:
    calls = iter([True, False])

    def evaluate(_: nn.Module) -> dict[str, float]:
        if not next(calls):
            raise ZeroDivisionError("the drive is gone")
        return {"miou": 0.5}

    recipe = tiny_recipe(steps=6, evaluate_every=2, checkpoint_every=checkpoint_every)
    with pytest.raises(ZeroDivisionError, match="the drive is gone"):
        run(recipe, tmp_path / "cut", evaluate=evaluate)
    assert (contents(tmp_path / "cut", 4).step, contents(tmp_path / "cut", 4).score) == (4, None)
    result = run(recipe, tmp_path / "cut", evaluate=lambda _: {"miou": 0.6}, resume=True)
    assert (result.steps, result.scores) == (6, {"miou": 0.6})
    run(recipe, tmp_path / "whole", evaluate=lambda _: {"miou": 0.5})
    assert table(tmp_path / "cut") == table(tmp_path / "whole")
    steps = [row.split(",")[0] for row in (tmp_path / "cut" / "evaluation.csv").read_text().splitlines()]
    assert steps == ["step", "2", "4", "6"]


def by_steps(scores: dict[int, float]) -> Callable[[nn.Module], dict[str, float]]:
    """An evaluation with these scores after so many steps."""
    return lambda method: {"miou": scores[steps_of(method)]}


def steps_of(method: nn.Module) -> int:
    assert isinstance(method, TinyMethod)
    return int(method.forwards)


def failing_at(step: int, evaluate: Callable[[nn.Module], dict[str, float]]) -> Callable[[nn.Module], dict[str, float]]:
    def failing(method: nn.Module) -> dict[str, float]:
        if steps_of(method) == step:
            raise ZeroDivisionError("the drive is gone")
        return evaluate(method)

    return failing


class Fails(TrainingCallback):
    """Fails after a step whose evaluation is due, before it."""

    def on_step(self, progress: TrainingProgress) -> None:
        if progress.step == 4:
            raise KeyError("mistake")


@pytest.mark.parametrize("cause", ["evaluation", "callback"])
def test_an_evaluation_that_was_due_is_made_up(tmp_path: Path, cause: str) -> None:
    """The best checkpoint is that of the uninterrupted run, which was evaluated there."""
    recipe, evaluate = tiny_recipe(steps=6, evaluate_every=2), by_steps({2: 0.1, 4: 0.9, 6: 0.3})
    whole = run(recipe, tmp_path / "whole", evaluate=evaluate)
    first, callbacks = (failing_at(4, evaluate), []) if cause == "evaluation" else (evaluate, [Fails()])
    with pytest.raises((ZeroDivisionError, CallbackError)):
        run(recipe, tmp_path / "cut", evaluate=first, callbacks=callbacks)
    cut = run(recipe, tmp_path / "cut", evaluate=evaluate, resume=True)
    assert [result.best.name for result in (whole, cut) if result.best] == ["step-00000004"] * 2
    names = ("evaluation.csv", "checkpoints/step-00000004/state.json")
    assert all((tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


def test_the_evaluation_of_the_last_step_is_made_up(tmp_path: Path) -> None:
    recipe, evaluate, notes = tiny_recipe(steps=2, evaluate_every=2), by_steps({2: 0.7}), list[Mapping[str, float]]()
    with pytest.raises(ZeroDivisionError):
        run(recipe, tmp_path, evaluate=failing_at(2, evaluate))

    class Notes(TrainingCallback):
        def on_validation(self, progress: TrainingProgress) -> None:
            notes.append(progress.scores)

    result = run(recipe, tmp_path, evaluate=evaluate, callbacks=[Notes()], resume=True)
    assert (result.steps, result.scores, result.best, notes) == (2, {"miou": 0.7}, result.last, [{"miou": 0.7}])
    assert contents(tmp_path, 2).score == 0.7


def test_a_callback_ends_a_run_at_the_evaluation_that_is_made_up(tmp_path: Path) -> None:
    class Enough(TrainingCallback):
        def on_validation(self, progress: TrainingProgress) -> None:
            progress.stop()

    recipe, evaluate = tiny_recipe(steps=6, evaluate_every=2), by_steps({2: 0.7})
    with pytest.raises(ZeroDivisionError):
        run(recipe, tmp_path, evaluate=failing_at(2, evaluate))
    assert run(recipe, tmp_path, evaluate=evaluate, callbacks=[Enough()], resume=True).steps == 2


def test_an_evaluation_that_failed_in_another_process_ends_the_run_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[nn.Module] = []

    def evaluate(method: nn.Module) -> dict[str, float]:
        evaluated.append(method)
        return {"miou": 0.5}

    monkeypatch.setattr(loop, "anywhere", lambda flag, _: flag or bool(evaluated))
    with pytest.raises(RunEndedError, match=r"evaluation after step 2 failed; a checkpoint is in .*step-00000002\. "):
        run(tiny_recipe(evaluate_every=2, checkpoint_every=0), tmp_path, evaluate=evaluate)
    assert contents(tmp_path, 2).score is None


def test_an_unknown_best_metric_is_named_after_the_step_is_saved(tmp_path: Path) -> None:
    recipe, evaluate = tiny_recipe(steps=4, evaluate_every=2), lambda _: {"a": 1.0, "b": 1.0}
    with pytest.raises(
        ConfigError, match=r"best_metric is 'miou', but the evaluation gives 'a', 'b'. .* step 2 is saved"
    ):
        run(recipe, tmp_path, evaluate=evaluate)
    assert (contents(tmp_path, 2).step, contents(tmp_path, 2).score) == (2, None)
    result = run(recipe.replace(best_metric="a"), tmp_path, evaluate=evaluate, resume=True)
    assert (result.steps, result.best) == (4, tmp_path / CHECKPOINTS / "step-00000002")  # ranked as if it had been 'a'
    with pytest.raises(ConfigError, match=r"are ranked by 'a', now training\.best_metric is 'b'"):
        run(recipe.replace(best_metric="b"), tmp_path, evaluate=evaluate, resume=True)


def test_without_best_checkpoints_no_metric_is_needed(tmp_path: Path) -> None:
    result = run(tiny_recipe(steps=2, evaluate_every=2, keep_best=0), tmp_path, evaluate=lambda _: {"a": 1.0})
    assert (result.steps, result.best) == (2, None)
