"""The optimizer: parameter groups, learning rates, weight decay and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW, Optimizer

from ahs_seg.training.recipe import OptimizerConfig, Recipe, TrainingSetupError

NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LocalResponseNorm,
)
"""Layers treated as normalisation layers (the list of detectron2)."""

RELATIVE_POSITIONS = "relative_position_bias_table"
"""Name of Swin's tables of relative positions, which have the weight decay of embedding tables."""
POLY_POWER = 0.9
_WRAPPERS = frozenset({"module", "_forward_module", "_fsdp_wrapped_module", "_orig_mod"})


def plain_name(name: str) -> str:
    """Parameter name without the prefixes that DDP, FSDP, Fabric and `torch.compile` add."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Names (without wrapper prefixes) and trainable parameters, in a fixed order; shared parameters appear once."""
    return ((plain_name(name), value) for name, value in module.named_parameters() if value.requires_grad)


def parameter_groups(module: nn.Module, config: OptimizerConfig) -> list[dict[str, object]]:
    """Parameter groups for AdamW, one per pair of learning rate and weight decay, with parameter names in `names`.

    The backbone is the attribute `backbone` of the method, whether `module` is the method or holds it as `method`.
    Parameters that a module lists in its class attribute `NO_DECAY_FULL_LR` (scalars such as temperatures and gates)
    are trained at the full learning rate and without weight decay, also inside the backbone. Those that it lists in
    `PUBLISHED_DECAY` have the ordinary weight decay if `config.published_decay` is set.

    Raises:
        TrainingSetupError: `module` has no trainable parameters.
    """
    norms, tables = _own(module, NORMS), _own(module, (nn.Embedding,))
    settings = _listed(module, "NO_DECAY_FULL_LR")
    decaying = _listed(module, "PUBLISHED_DECAY") if config.published_decay else set()
    groups: dict[tuple[float, float], dict[str, list[object]]] = {}
    for name, value in trainable(module):
        backbone = name.removeprefix("method.").startswith("backbone.")
        rate = config.lr * (config.clip_multiplier if backbone and id(value) not in settings else 1.0)
        decay = config.norm_weight_decay if id(value) in norms else config.weight_decay
        table = id(value) in tables or name.endswith(RELATIVE_POSITIONS)
        if table and config.embedding_weight_decay is not None:
            decay = config.embedding_weight_decay
        decay = 0.0 if id(value) in settings else decay
        decay = config.weight_decay if id(value) in decaying else decay
        group = groups.setdefault((rate, decay), {"params": [], "names": []})
        group["params"].append(value)
        group["names"].append(name)
    if not groups:
        raise TrainingSetupError(
            f"{type(module).__name__} has no trainable parameters; a training-free method is evaluated, not trained. "
            "Choose a method with a head or a tuner."
        )
    return [{**group, "lr": lr, "base_lr": lr, "weight_decay": decay} for (lr, decay), group in groups.items()]


def _listed(module: nn.Module, attribute: str) -> set[int]:
    """`id`s of the parameters that modules list by name in a class attribute."""
    return {id(getattr(part, name)) for part in module.modules() for name in getattr(part, attribute, ())}


def _own(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> set[int]:
    """`id`s of the parameters that layers of the given types own directly."""
    return {
        id(value) for part in module.modules() if isinstance(part, kinds) for value in part.parameters(recurse=False)
    }


def build_optimizer(module: nn.Module, config: OptimizerConfig) -> AdamW:
    """AdamW over the trainable parameters of `module`."""
    return AdamW(parameter_groups(module, config), betas=config.betas, eps=config.eps)


def rate_factor(step: int, recipe: Recipe) -> float:
    """Factor of the learning rate at step `step` (from 0): warmup times schedule."""
    config = recipe.optimizer
    warmup = 1.0
    if step < config.warmup_steps:
        alpha = step / config.warmup_steps
        warmup = config.warmup_factor * (1 - alpha) + alpha
    if config.schedule == "constant":
        return warmup
    if config.schedule == "poly":
        return float(warmup * (1 - step / recipe.steps) ** POLY_POWER)
    return warmup * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def set_rate(optimizer: Optimizer, step: int, recipe: Recipe) -> None:
    """Set the learning rate of every group for step `step`; it depends on the step alone, so no state is saved."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * rate_factor(step, recipe)
