"""Callbacks of a training: code of the user that is called after steps and validations, and may end the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning_fabric import Fabric
from torch import nn

from ahs_seg.errors import AhsSegError
from ahs_seg.training.agreement import anywhere


@dataclass
class TrainingProgress:
    """What a callback is given: the steps done and planned, the newest values, the method and the run's directory.

    `values` are the losses by name (`loss_...`, their sum `loss`), the learning rate `lr`, the norm of the gradients
    and the seconds of the last step (empty in a validation that a resumed run makes up before its first step); `scores`
    those of the last validation, in [0, 1]. The method is to be read, not changed.
    """

    steps: int
    directory: Path
    method: nn.Module
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    stopping: bool = False

    def stop(self) -> None:
        """End the training after this step: a checkpoint is written, the model is saved and evaluated as usual."""
        self.stopping = True


@runtime_checkable
class TrainingCallback(Protocol):
    """What is called in each process of a training; a class that derives from it may leave methods out."""

    def on_step(self, progress: TrainingProgress) -> None:  # noqa: ARG002  # used where it is overridden
        """Called after each update of the weights, before validation and checkpoint of that step."""
        return

    def on_validation(self, progress: TrainingProgress) -> None:  # noqa: ARG002  # used where it is overridden
        """Called after each evaluation on the validation data, whose scores are in `progress.scores`."""
        return

    def on_end(self, progress: TrainingProgress) -> None:  # noqa: ARG002  # used where it is overridden
        """Called once after the last step, also if a callback ended the run; not after an error or Ctrl-C."""
        return


class CallbackError(AhsSegError, RuntimeError):
    """A callback raised an exception; the message names callback and checkpoint, the exception is its cause."""


class Callbacks:
    """The callbacks of a run; `save` writes a checkpoint and returns its path, in every process."""

    def __init__(
        self,
        callbacks: Sequence[TrainingCallback],
        progress: TrainingProgress,
        fabric: Fabric,
        save: Callable[[], Path | None],
    ) -> None:
        self._callbacks, self._fabric, self._save = callbacks, fabric, save
        self.progress = progress

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Call `on_step`."""
        self.progress.step, self.progress.values = step, values
        self._call("on_step")

    def validation(self, scores: Mapping[str, float]) -> None:
        """Call `on_validation`."""
        self.progress.scores = scores
        self._call("on_validation")

    def end(self, step: int) -> None:
        """Call `on_end`."""
        self.progress.step = step
        self._call("on_end")

    def stopping(self) -> bool:
        """Whether a callback of any process ended the run; must be called in every process."""
        return bool(self._callbacks) and anywhere(self.progress.stopping, self._fabric)

    def _call(self, event: str) -> None:
        """Call one method of every callback.

        Raises:
            CallbackError: one raised an exception, here or in another process; a checkpoint is written before.
        """
        if not self._callbacks:
            return
        caught: Exception | None = None
        name = ""
        for callback in self._callbacks:
            try:
                getattr(callback, event)(self.progress)
            except Exception as error:  # noqa: BLE001  # code of the user; raised again below, after a checkpoint
                caught, name = error, f"{type(callback).__name__}.{event}"
                break
        if not anywhere(caught is not None, self._fabric):
            return
        path = self._save()
        what = "a callback in another process" if caught is None else f"callback {name}"
        reason = "failed" if caught is None else f"raised {type(caught).__name__}: {caught}"
        raise CallbackError(
            f"{what} {reason}, after step {self.progress.step} of {self.progress.steps}; a checkpoint is in {path}. "
            "Mend the callback and go on with resume=True."
        ) from caught
