"""The first step of a run decides whether activations are kept for the backward pass, or recomputed in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ahs_seg.io.free_memory import free_bytes
from ahs_seg.training.forward import can_recompute, set_checkpointing
from ahs_seg.training.memory import SHARE, OverLimitError, TensorBytes, remembered, state_bytes
from ahs_seg.training.run import Run


def start_recomputing(run: Run) -> None:
    """Let the method recompute activations if the recipe says so, or an earlier part of the run decided it.

    Raises:
        TrainingSetupError: the recipe asks for it, and the method does not support it.
    """
    wanted = run.recipe.checkpointing
    decided = run.facts.recomputing if wanted == "auto" else wanted
    set_checkpointing(run.step.method, enabled=decided is True)
    run.facts = run.facts.replace(recomputing=decided)


def first_losses(run: Run, forward: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """The losses of `forward`, the first of a run; `run.facts.recomputing` says afterwards what was decided.

    A forward pass whose tensors take more than their share of the free memory, in any process, ends there; buffers and
    random states are put back, what the objective collected is dropped, and it runs again with activations recomputed.
    With enough memory nothing runs twice.
    """
    limit = activation_limit(run)
    losses: Mapping[str, Tensor] | None = None
    if limit is None:
        run.facts = run.facts.replace(recomputing=False)
        return forward()
    put_back = remembered(run.step, run.fabric.device)
    try:
        with TensorBytes(limit):
            losses = forward()
    except OverLimitError:
        losses = None
    over = torch.tensor(float(losses is None), device=run.fabric.device)
    short = bool(run.fabric.all_reduce(over, reduce_op="max") > 0)
    run.facts = run.facts.replace(recomputing=short)
    if losses is not None and not short:
        return losses
    put_back()
    run.step.forget()
    set_checkpointing(run.step.method, enabled=True)
    return forward()


def activation_limit(run: Run) -> float | None:
    """Bytes that the activations of a micro-batch may take.

    None where free memory is not known, parameters are sharded, or the method cannot recompute activations.
    """
    free = free_bytes(run.fabric.device)
    if free is None or run.core is not run.step or not can_recompute(run.step.method):
        return None
    processes = run.fabric.world_size // run.recipe.num_nodes if run.fabric.device.type == "cpu" else 1
    return SHARE * (free / processes - state_bytes(run.step)[1])
