"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.errors import AhsSegError, RunEndedError, RunInterrupted
from ahs_seg.io.allocator import keeping_freed_memory
from ahs_seg.methods.objective import HasStatistics
from ahs_seg.training import checkpoint
from ahs_seg.training.agreement import anywhere
from ahs_seg.training.callbacks import Callbacks, TrainingCallback, TrainingProgress
from ahs_seg.training.class_sampling import NameSource, masks_of_step, names_of_step, relabel
from ahs_seg.training.first_step import first_losses, start_recomputing
from ahs_seg.training.forward import Objective, TrainingStep
from ahs_seg.training.interrupt import StopRequest, stopping_on_interrupt
from ahs_seg.training.launch import launch, own_products, own_randomness, own_threads, seed_generators
from ahs_seg.training.logs import RunLog
from ahs_seg.training.optim import set_rate
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import Run, start_run
from ahs_seg.training.sampler import Augment, Pictures, StepDataset, load_steps
from ahs_seg.training.state import gather, whole_parameters

Evaluate = Callable[[nn.Module], Mapping[str, float]]


class TrainingDivergedError(AhsSegError, RuntimeError):
    """A loss or gradient is not finite."""


@dataclass(frozen=True)
class TrainResult:
    """Result of a run: steps done, scores of the last evaluation, and paths of the newest and best checkpoint, if any.

    The trained method holds the weights of the last step, whole in every process; `load_weights(method, best)` loads
    the best ones.
    """

    steps: int
    scores: Mapping[str, float]
    last: Path | None
    best: Path | None
    seconds: float


def fit(
    recipe: Recipe,
    method: nn.Module,
    dataset: SegmentationDataset,
    directory: Path,
    *,
    objective: Objective,
    augment: Augment | None = None,
    evaluate: Evaluate | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
    fabric: Fabric | None = None,
    callbacks: Sequence[TrainingCallback] = (),
) -> TrainResult:
    """Train a built method by minimising an objective; writes logs and checkpoints to a directory.

    `ahs_seg.train` builds method and objective from a config and calls this.

    `augment` augments a sample and gives all images one size; `evaluate` returns scores in [0, 1] by name and is called
    in every process with the method in evaluation mode. `resume` continues from the newest readable checkpoint, bit for
    bit as if the run had not been interrupted, or starts a run if there is none; an evaluation that is due at that step
    and has no score there is made first. `settings` are values for JSON that say how method, objective, data, `augment`
    and `evaluate` were made; a run resumes only with the same ones. `fabric` must be launched; default is
    `launch(recipe)`. `callbacks` are called after steps and evaluations. An exception of `evaluate` ends the run with a
    checkpoint of the last step.

    Raises:
        CallbackError: a callback raised an exception; a checkpoint of the last step is written.
        ConfigError: the directory holds checkpoints and `resume` is off, the run was started with another recipe or
            data, or `evaluate` does not give `best_metric`; a checkpoint is written before.
        RunInterrupted: Ctrl-C; a checkpoint of the last step is written.
        TextTooLongError: the text tower cannot read a class name; nothing is written.
        TrainingSetupError: the recipe recomputes activations, and the method does not support it; nothing is written.
        TrainingDivergedError: a loss or gradient is not finite; the weights are those before that step.
    """
    began = time.monotonic()
    fabric = fabric or launch(recipe)
    step = TrainingStep(method, objective).train()
    names = NameSource(dataset.vocabulary, recipe.prompts, step.backbone.tokenizer)
    run, faults = start_run(recipe, step, dataset, directory, settings=settings or {}, fabric=fabric, resume=resume)
    start_recomputing(run)
    data = StepDataset(dataset, recipe, augment, fabric.global_rank, fabric.world_size)
    log = RunLog(directory, recipe, start=run.done, writing=fabric.is_global_zero, progress=progress, settings=settings)
    hooks = _hooks(run, log, directory, callbacks)
    left_out: set[str] = set()
    with (
        own_randomness(recipe, fabric.device),
        own_threads(recipe, fabric),
        keeping_freed_memory(),
        own_products(recipe),
        log,
        stopping_on_interrupt(log.say) as stop,
    ):
        _tell_start(run, log, faults, resume=resume)
        ended = run.done > 0 and after_step(run, log, hooks, evaluate, stop)  # an evaluation that failed is made up
        start = recipe.steps if ended else run.done
        for index, parts in load_steps(data, recipe, start, pin=fabric.device.type == "cuda"):
            for reason in {reason for part in parts for reason in part.left_out} - left_out:
                log.say(f"left out of the training: {reason}")
                left_out.add(reason)
            seed_generators(recipe, index, fabric.global_rank)
            set_rate(run.optimizer, index, recipe)
            undecided = run.facts.recomputing is None
            values = update(run, names, index, parts)
            if undecided and run.facts.recomputing:
                log.say("activations do not fit into the free memory and are recomputed, which takes more time")
            run.done = index + 1
            log.step(run.done, values)
            hooks.step(run.done, values)
            if log.due(run.done):
                log.statistics(run.done, statistics(run))
            if after_step(run, log, hooks, evaluate, stop):
                break
        hooks.end(run.done)
        gather(run.core)
    seconds = time.monotonic() - began
    return TrainResult(run.done, run.scores, checkpoint.last(run.root), checkpoint.best(run.root), seconds)


def update(run: Run, names: NameSource, index: int, parts: list[Pictures]) -> dict[str, float]:
    """Update the weights once from the micro-batches of a step; returns losses, learning rate and gradient norm."""
    began = time.monotonic()
    fabric = run.fabric
    classes = len(names.vocabulary)
    rows = names_of_step(run, index, parts)
    chosen = names(rows)
    step_names = (chosen.text, chosen.table.row_class, chosen.rows.to(fabric.device, non_blocking=True))
    totals: dict[str, Tensor] = {}
    for number, (part, masks) in enumerate(zip(parts, masks_of_step(run, rows, parts), strict=True)):
        images = part.images.to(fabric.device, non_blocking=True)
        labels = relabel(part.labels, rows, classes).to(fabric.device, non_blocking=True)
        with fabric.no_backward_sync(run.wrapped, enabled=number + 1 < len(parts)):
            forward = partial(run.wrapped, images, labels, *step_names, index / run.recipe.steps, masks)
            losses = forward() if run.facts.recomputing is not None else first_losses(run, forward)
            shares = {name: loss / len(parts) for name, loss in losses.items()}
            fabric.backward(torch.stack(list(shares.values())).sum())
        for name, share in shares.items():
            totals[name] = totals.get(name, torch.zeros_like(share)) + share.detach()
    means = fabric.all_reduce(torch.stack(list(totals.values())), reduce_op="mean").tolist()
    values = dict(zip(totals, means, strict=True))
    if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
        raise TrainingDivergedError(
            f"step {index + 1}: loss {wrong[0]!r} is {values[wrong[0]]}. Lower the learning rate, or use fp32."
        )
    norm = _clip(run, index)
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.step.finish()
    return {
        "loss": sum(means),
        **{f"loss_{name}": value for name, value in values.items()},
        "lr": max(group["lr"] for group in run.optimizer.param_groups),
        "gradient_norm": norm,
        "seconds": time.monotonic() - began,
    }


def after_step(run: Run, log: RunLog, hooks: Callbacks, evaluate: Evaluate | None, stop: StopRequest) -> bool:
    """Make the evaluation and write the checkpoint that are due and not there; returns whether a callback ends the run.

    Raises:
        RunInterrupted: the run was asked to stop; a checkpoint is written before.
    """
    recipe = run.recipe
    missing = evaluate is not None and run.evaluated != run.done
    scored = missing and _due(run.done, recipe.evaluate_every, recipe.steps)
    if evaluate is not None and scored:
        run.scores, run.evaluated = score(run, log, evaluate), run.done
        log.evaluation(run.done, run.scores)
        hooks.validation(run.scores)
    _save(run, log, scored=scored, stopped=anywhere(stop.requested, run.fabric))
    if not hooks.stopping():
        return False
    log.say(f"a callback ends the training after step {run.done} of {recipe.steps}")
    _checkpoint(run, log)
    return True


def statistics(run: Run) -> Mapping[str, float]:
    """Values that the objective monitors besides its losses; must be called in every process."""
    objective: object = run.step.objective
    if not isinstance(objective, HasStatistics):
        return {}
    with torch.no_grad(), whole_parameters(run.core):
        return objective.statistics(run.step.method)


def score(run: Run, log: RunLog, evaluate: Evaluate) -> Mapping[str, float]:
    """Evaluation scores of the method with its current weights; all processes get those of the first one.

    An exception of `evaluate` is raised again, after a checkpoint of the last step.

    Raises:
        RunEndedError: `evaluate` failed in another process.
    """
    scores: dict[str, float] = {}
    caught: Exception | None = None
    run.step.eval()
    with torch.no_grad(), whole_parameters(run.core):
        try:
            scores = {name: float(value) for name, value in evaluate(run.step.method).items()}
        except Exception as error:  # noqa: BLE001  # raised again below, after a checkpoint in every process
            caught = error
    run.step.train()
    if anywhere(caught is not None, run.fabric):
        failed = f"the evaluation after step {run.done} failed; a checkpoint is in {_checkpoint(run, log)}"
        log.say(failed)
        raise caught or RunEndedError(f"{failed}. Another process says why; go on with resume=True.")
    result: dict[str, float] = run.fabric.broadcast(scores)
    return result


def _clip(run: Run, index: int) -> float:
    """Clip the gradients and return their total L2 norm before clipping."""
    limit = run.recipe.optimizer.clip_norm
    norm = float(
        run.fabric.clip_gradients(
            run.wrapped, run.optimizer, max_norm=math.inf if limit is None else limit, error_if_nonfinite=False
        )
    )
    scaler = getattr(run.fabric.strategy.precision, "scaler", None)
    # With fp16 the gradient scaler skips a step whose gradients overflow, and lowers its scale.
    tolerated = scaler is not None and scaler.get_scale() >= 1
    if not math.isfinite(norm) and not tolerated:
        raise TrainingDivergedError(
            f"step {index + 1}: the norm of the gradients is {norm}. Lower the learning rate, or use fp32 or bf16."
        )
    return norm


def _save(run: Run, log: RunLog, *, scored: bool, stopped: bool) -> None:
    """Write a checkpoint if one is due; if the run was asked to stop, write one in any case and stop.

    Raises:
        ConfigError: checkpoints cannot be ranked by the scores of this step; one is written before.
        RunInterrupted: the run was asked to stop.
    """
    recipe = run.recipe
    due = stopped or _due(run.done, recipe.checkpoint_every, recipe.steps) or (scored and recipe.checkpoint_every > 0)
    if due and (scored or run.saved != run.done):
        log.sync()
        run.save()
        if scored:
            run.check_metric()
    if stopped:
        raise RunInterrupted(
            f"after step {run.done} of {recipe.steps}; a checkpoint is in {checkpoint.last(run.root)}. The same "
            "command goes on from there (`ahs-seg train` with --resume, in Python resume=True)."
        )


def _checkpoint(run: Run, log: RunLog) -> Path | None:
    """Write a checkpoint of the current step unless there is one; returns its path."""
    if run.saved != run.done:
        log.sync()
        run.save()
    return checkpoint.last(run.root)


def _tell_start(run: Run, log: RunLog, faults: Sequence[str], *, resume: bool) -> None:
    for fault in faults:
        log.say(f"skipped a damaged checkpoint: {fault}")
    if run.done:
        log.say(f"resuming after step {run.done}")
    elif resume:
        log.say(f"no checkpoint in {run.root} to resume from; the run begins at its first step")


def _hooks(run: Run, log: RunLog, directory: Path, callbacks: Sequence[TrainingCallback]) -> Callbacks:
    progress = TrainingProgress(run.recipe.steps, directory, run.step.method, run.done, scores=run.scores)
    return Callbacks(callbacks, progress, run.fabric, lambda: _checkpoint(run, log))


def _due(done: int, every: int, steps: int) -> bool:
    return every > 0 and (done % every == 0 or done == steps)
