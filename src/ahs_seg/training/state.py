"""Collecting and restoring the state of a run: trained weights, buffers and optimizer moments.

The learning rate, the order of images, augmentation, class names and all random numbers of a step follow from
(recipe, step) and are not stored. Frozen weights are not stored either, since every checkpoint would then contain the
whole CLIP; only their digest is, and a run resumes only with the same frozen weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import Optimizer

from ahs_seg.io.digest import weights_digest
from ahs_seg.training.checkpoint import TrainingCheckpointError
from ahs_seg.training.optim import plain_name, trainable

_WEIGHT, _MOMENT = "weight/", "moment/"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW


def stored_names(module: nn.Module) -> list[str]:
    """Names of the tensors of a module that a checkpoint stores: trained parameters and persistent buffers."""
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    trained = {name for name, _ in trainable(module)}
    return [name for name in module.state_dict() if name in trained or name not in parameters]


def frozen_digest(module: nn.Module) -> str:
    """Digest of the names, shapes and values of all frozen parameters."""
    frozen = sorted((name, value) for name, value in module.named_parameters() if not value.requires_grad)
    return weights_digest((f"{name} {tuple(value.shape)} {value.dtype}\n", value) for name, value in frozen)


def collect(module: nn.Module, optimizer: Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """CPU copies of the named weights and of AdamW's moments, gathered to full size if FSDP shards them.

    Must be called in every process.
    """
    stored: dict[str, Tensor] = {}
    shapes = {}
    with whole_parameters(module):
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            shapes[plain_name(name)] = value.shape
            if plain_name(name) in names:
                stored[f"{_WEIGHT}{plain_name(name)}"] = value.detach().to("cpu", copy=True).contiguous()
    for name, value in trainable(module):
        state = optimizer.state.get(value, {})
        for kind in _MOMENTS:
            piece = state.get(kind, torch.zeros(0)).detach().float().cpu()
            if isinstance(module, FullyShardedDataParallel):
                piece = _concatenated(piece.flatten())
            if piece.numel():
                shape = torch.Size() if kind == "step" else shapes[name]
                stored[f"{_MOMENT}{name}/{kind}"] = piece.flatten()[: shape.numel()].reshape(shape).clone()
    return stored


def whole_parameters(module: nn.Module) -> AbstractContextManager[None]:
    """Context in which the parameters of a module have their full size even if FSDP shards them; read-only."""
    if isinstance(module, FullyShardedDataParallel):
        return FullyShardedDataParallel.summon_full_params(module, writeback=False)
    return nullcontext()


@torch.no_grad()
def gather(module: nn.Module) -> None:
    """Give the parameters of a module their full values for good if FSDP shards them; no step can follow.

    Must be called in every process.
    """
    if not isinstance(module, FullyShardedDataParallel):
        return
    parameters = list(module.parameters())
    with whole_parameters(module):
        whole = [value.detach().clone() for value in parameters]
    for parameter, value in zip(parameters, whole, strict=True):
        parameter.grad = None  # that of a shard
        parameter.data = value


def _concatenated(piece: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
    """Concatenate the shards of all processes in order of rank."""
    pieces: list[Tensor] = [piece] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(pieces, piece)
    return torch.cat(pieces)


@torch.no_grad()
def restore_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load the weights that `collect` stored into a module that is not yet wrapped.

    Raises:
        TrainingCheckpointError: the tensors belong to another method or another set of trained parameters.
    """
    stored = {key.removeprefix(_WEIGHT): value for key, value in tensors.items() if key.startswith(_WEIGHT)}
    names = stored_names(module)
    if odd := sorted(set(stored) ^ set(names)):
        where = "the checkpoint" if odd[0] in stored else "the method"
        raise TrainingCheckpointError(
            f"the checkpoint is of another method or tuner: {len(odd)} weights differ, e.g. {odd[0]!r} is only "
            f"in {where}. Build the method from the config that the run was started with."
        )
    own = module.state_dict()
    for name in names:
        if own[name].shape != stored[name].shape:
            raise TrainingCheckpointError(
                f"{name} has shape {tuple(stored[name].shape)} in the checkpoint and {tuple(own[name].shape)} in the "
                "method. Build the method from the config that the run was started with."
            )
        own[name].copy_(stored[name])


def restore_moments(module: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the moments that `collect` stored into AdamW; must be called in every process."""
    for name, value in trainable(module):
        found = {kind: tensors.get(f"{_MOMENT}{name}/{kind}") for kind in _MOMENTS}
        place = slice(None)
        if isinstance(module, FullyShardedDataParallel):
            rank, sizes = torch.distributed.get_rank(), _concatenated(torch.tensor([float(value.numel())])).long()
            place = slice(int(sizes[:rank].sum()), int(sizes[: rank + 1].sum()))
        state = {kind: full for kind, full in found.items() if full is not None}
        if state and value.numel():
            step = state.pop("step").clone()  # stays on the CPU, as AdamW has it
            pieces = {kind: full.flatten()[place].reshape(value.shape) for kind, full in state.items()}
            optimizer.state[value] = {"step": step, **{kind: piece.to(value.device) for kind, piece in pieces.items()}}
