"""What a run has to remember: trained weights, buffers, the optimizer's moments and the loss scale; and what not.

The learning rate, the order of the pictures, augmentation, class names and every random number of a step follow from
(recipe, step) and are not stored. Frozen weights are not stored either: a CLIP would be written again with every
checkpoint. Their digest is, and a run is continued only on top of the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    OptimizerStateType,
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import Optimizer

from ahs_seg.training.checkpoint import CheckpointError
from ahs_seg.training.optim import plain_name, trainable

_WEIGHT, _MOMENT = "weight/", "moment/"
_GATHERED = StateDictOptions(full_state_dict=True, cpu_offload=True)


def stored_names(module: nn.Module) -> list[str]:
    """Names of what a checkpoint holds of a module: its trained parameters and persistent buffers."""
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    trained = {name for name, _ in trainable(module)}
    return [name for name in module.state_dict() if name in trained or name not in parameters]


def frozen_digest(module: nn.Module) -> str:
    """A digest of the names and values of all parameters that are not trained."""
    digest = hashlib.sha256()
    for name, value in sorted(module.named_parameters(), key=lambda item: item[0]):
        if not value.requires_grad:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def collect(module: nn.Module, optimizer: Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """Copies of the named weights and of the optimizer's moments, gathered where they are sharded.

    Called in every process; with FSDP the result is whole in the first one only.
    """
    if isinstance(module, FullyShardedDataParallel):
        weights = cast("dict[str, Tensor]", get_model_state_dict(module, options=_GATHERED))
        gathered = get_optimizer_state_dict(module, optimizer, options=_GATHERED)
        states = cast("dict[str, dict[str, Tensor]]", gathered.get("state", {}))
    else:
        weights = module.state_dict()
        states = {name: optimizer.state[value] for name, value in trainable(module) if value in optimizer.state}
    stored = {f"{_WEIGHT}{name}": weights[name] for name in names if name in weights}
    for name, state in states.items():
        stored |= {f"{_MOMENT}{name}/{key}": value for key, value in state.items()}
    return {key: value.detach().cpu().contiguous().clone() for key, value in stored.items()}


@torch.no_grad()
def restore_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a module, not yet wrapped, the weights that `collect` stored.

    Raises:
        CheckpointError: the tensors are those of another method or another choice of trained parameters.
    """
    stored = {key.removeprefix(_WEIGHT): value for key, value in tensors.items() if key.startswith(_WEIGHT)}
    names = stored_names(module)
    if odd := sorted(set(stored) ^ set(names)):
        where = "the checkpoint" if odd[0] in stored else "the method"
        raise CheckpointError(
            f"the checkpoint is of another method or tuner: {len(odd)} weights differ, e.g. {odd[0]!r} is only "
            f"in {where}. Build the method from the config that the run was started with."
        )
    own = module.state_dict()
    for name in names:
        if own[name].shape != stored[name].shape:
            raise CheckpointError(
                f"{name} has shape {tuple(stored[name].shape)} in the checkpoint and {tuple(own[name].shape)} in the "
                "method. Build the method from the config that the run was started with."
            )
        own[name].copy_(stored[name])


def restore_moments(module: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the moments that `collect` stored; called in every process."""
    states: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(_MOMENT):
            name, _, kind = key.removeprefix(_MOMENT).rpartition("/")
            states.setdefault(name, {})[kind] = value
    if isinstance(module, FullyShardedDataParallel):
        groups = [{**group, "params": group["names"]} for group in optimizer.param_groups]
        gathered = cast("OptimizerStateType", {"state": states, "param_groups": groups})
        set_optimizer_state_dict(module, optimizer, gathered, options=_GATHERED)
        return
    order = {
        plain_name(name): i for i, name in enumerate(n for group in optimizer.param_groups for n in group["names"])
    }
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {order[name]: state for name, state in states.items()}, "param_groups": groups})
