from __future__ import annotations

from pathlib import Path

import pytest

from ahs_seg.training.callbacks import CallbackError, TrainingCallback, TrainingProgress
from tests.support.training import tiny_recipe
from tests.support.training_runs import assert_same_run, contents, run


class Notes(TrainingCallback):
    """Writes down what it is called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.values: dict[str, float] = {}
        self.scores: list[float] = []

    def on_step(self, progress: TrainingProgress) -> None:
        self.seen.append(("step", progress.step))
        self.values = dict(progress.values)

    def on_validation(self, progress: TrainingProgress) -> None:
        self.seen.append(("validation", progress.step))
        self.scores.append(progress.scores["miou"])

    def on_end(self, progress: TrainingProgress) -> None:
        self.seen.append(("end", progress.step))


class EndsAt(TrainingCallback):
    """Ends the run at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, progress: TrainingProgress) -> None:
        if progress.step == self.step:
            progress.stop()


class Broken(TrainingCallback):
    """Fails at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, progress: TrainingProgress) -> None:
        if progress.step == self.step:
            raise ZeroDivisionError("my own mistake")


def test_callbacks_see_steps_scores_and_the_end(tmp_path: Path) -> None:
    notes = Notes()
    run(tiny_recipe(steps=4, evaluate_every=2), tmp_path, evaluate=lambda method: {"miou": 0.5}, callbacks=[notes])
    steps = [("step", 1), ("step", 2), ("validation", 2), ("step", 3), ("step", 4), ("validation", 4), ("end", 4)]
    assert notes.seen == steps
    assert notes.scores == [0.5, 0.5]
    assert {"loss", "loss_bce", "loss_noise", "lr", "gradient_norm", "seconds"} == notes.values.keys()


def test_a_run_that_a_callback_ends_is_like_one_that_is_resumed(tmp_path: Path) -> None:
    recipe, notes = tiny_recipe(steps=6, checkpoint_every=5), Notes()
    ended = run(recipe, tmp_path / "ended", callbacks=[EndsAt(2), notes])
    assert ended.steps == 2
    assert ended.last is not None
    assert ended.last.name == "step-00000002"
    assert notes.seen[-1] == ("end", 2)
    run(recipe, tmp_path / "ended", resume=True)
    run(recipe, tmp_path / "whole", callbacks=[Notes()])
    assert_same_run(tmp_path / "ended", tmp_path / "whole", 6)


@pytest.mark.parametrize("checkpoint_every", [0, 3])
def test_an_exception_ends_the_run_with_a_checkpoint_and_the_name(tmp_path: Path, checkpoint_every: int) -> None:
    recipe = tiny_recipe(steps=5, checkpoint_every=checkpoint_every)
    with pytest.raises(
        CallbackError,
        match=r"callback Broken\.on_step raised ZeroDivisionError: my own mistake, after step 2 of 5; a checkpoint "
        r"is in .*step-00000002\. Mend the callback and go on with resume=True",
    ) as caught:
        run(recipe, tmp_path, callbacks=[Notes(), Broken(2)])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert contents(tmp_path, 2).step == 2
    assert run(recipe, tmp_path, callbacks=[Broken(2)], resume=True).steps == 5


def test_an_exception_after_an_evaluation_keeps_its_score(tmp_path: Path) -> None:
    class Failing(TrainingCallback):
        def on_validation(self, progress: TrainingProgress) -> None:
            if progress.step == 4:
                raise KeyError("message")

    recipe, scores = tiny_recipe(steps=4, evaluate_every=2, keep_last=9), iter([0.1, 0.9])
    with pytest.raises(CallbackError, match=r"Failing\.on_validation raised KeyError"):
        run(recipe, tmp_path, evaluate=lambda method: {"miou": next(scores)}, callbacks=[Failing()])
    result = run(recipe, tmp_path, evaluate=lambda method: {"miou": next(scores)}, resume=True)
    assert contents(tmp_path, 4).score == 0.9
    assert result.best == result.last


def test_an_exception_at_the_end_leaves_the_last_step(tmp_path: Path) -> None:
    class Last(TrainingCallback):
        def on_end(self, progress: TrainingProgress) -> None:
            raise KeyError("report")

    with pytest.raises(CallbackError, match=r"Last\.on_end raised KeyError: 'report', after step 2 of 2"):
        run(tiny_recipe(steps=2), tmp_path, callbacks=[Last()])
    assert contents(tmp_path, 2).step == 2
