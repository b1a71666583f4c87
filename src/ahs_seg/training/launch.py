"""Processes, devices, precision and random seeds of a training run."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ahs_seg.io.cores import available_cores
from ahs_seg.io.devices import AUTO, DeviceError, find_device
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.sampler import global_seed


def launch(recipe: Recipe) -> Fabric:
    """Create the Fabric of a recipe and launch its processes.

    With several devices the running command is started again for each, unless `torchrun` or a cluster has started the
    processes; call it before any expensive work.
    """
    fabric = create_fabric(recipe)
    fabric.launch()
    return fabric


def create_fabric(recipe: Recipe) -> Fabric:
    """Create the Fabric of a recipe without launching its processes.

    Raises:
        DeviceError: this machine has no such accelerator, or fewer devices than the recipe asks for.
    """
    check_devices(recipe)
    strategy = _strategy(recipe)
    common = {
        "accelerator": _device_type(recipe),
        "devices": recipe.devices,
        "num_nodes": recipe.num_nodes,
        "strategy": strategy,
    }
    if recipe.precision == "fp16" and recipe.strategy != "fsdp":
        # Passed as a plugin, since Fabric silently replaces the name "16-mixed" by bfloat16 on a CPU.
        return Fabric(**common, plugins=MixedPrecision("16-mixed", device=_device_type(recipe)))
    names = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    return Fabric(**common, precision=names[recipe.precision])


def check_devices(recipe: Recipe) -> None:
    """Check that this machine has the devices of a recipe.

    Raises:
        DeviceError: it does not.
    """
    kind = _device_type(recipe)
    try:
        find_device(kind)
        if kind != "cpu" and recipe.devices != "auto":
            find_device(f"{kind}:{recipe.devices - 1}")
    except DeviceError as error:
        raise DeviceError(
            f"training.accelerator={recipe.accelerator}, training.devices={recipe.devices}: {error}"
        ) from None


def process_count(recipe: Recipe) -> int:
    """Number of processes of a run with this recipe, one for each device of every machine."""
    devices = recipe.devices
    if devices == "auto":
        devices = torch.cuda.device_count() if _device_type(recipe) == "cuda" else 1
    return devices * recipe.num_nodes


class ShardTrained(FSDPStrategy):  # type: ignore[misc]  # lightning is untyped here
    """FSDP strategy that shards only trained parameters: their weights, gradients and optimizer moments.

    Frozen weights are replicated in every process (FSDP cannot shard the scalar `logit_scale` of CLIP). Everything is
    one FSDP unit, since the forward calls submodules of CLIP's blocks directly, where per-block hooks would not run.
    """

    def setup_module(self, module: nn.Module) -> nn.Module:
        """Move the module to its device and wrap it in FSDP."""
        module = module.to(self.root_device)
        frozen = [value for value in module.parameters() if not value.requires_grad]
        return FullyShardedDataParallel(
            module,
            use_orig_params=True,
            ignored_states=frozen,
            device_id=self.root_device,
            mixed_precision=self.mixed_precision_config,
            sharding_strategy=self.sharding_strategy,
        )


def _strategy(recipe: Recipe) -> Strategy | str:
    if recipe.strategy == "fsdp":
        return ShardTrained()
    if recipe.strategy == "ddp" or process_count(recipe) > 1:
        # Every trained parameter gets a gradient in every step (tested for each method): no search for unused ones.
        return DDPStrategy(find_unused_parameters=False)
    return "auto"


def _device_type(recipe: Recipe) -> str:
    return find_device().type if recipe.accelerator == AUTO else recipe.accelerator


def seed_generators(recipe: Recipe, step: int, rank: int) -> None:
    """Seed the generators of python, numpy and torch (all devices) for one step of one process.

    The random numbers of a step thus do not depend on earlier steps, and a resumed run draws the same ones.
    """
    seed = global_seed(recipe.seed, step, rank)
    random.seed(seed)
    np.random.seed(seed)  # third-party code may use the global generator
    torch.manual_seed(seed)


@contextmanager
def own_randomness(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Context that restores the global random states and torch's deterministic setting on exit."""
    python, numpy, strict = random.getstate(), np.random.get_state(), torch.are_deterministic_algorithms_enabled()
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by cuBLAS for deterministic results
        torch.use_deterministic_algorithms(mode=True)
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.use_deterministic_algorithms(mode=strict)


@contextmanager
def own_products(recipe: Recipe) -> Iterator[None]:
    """Context with the precision of float32 matrix products of a recipe; the setting of the process is put back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(recipe.matmul)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def own_threads(recipe: Recipe, fabric: Fabric) -> Iterator[None]:
    """Context that, on a CPU, leaves one core to each data-loading worker; more threads than cores are slower."""
    before = torch.get_num_threads()
    processes = fabric.world_size // recipe.num_nodes
    share = available_cores() // processes - recipe.workers
    if fabric.device.type == "cpu":
        torch.set_num_threads(min(before, max(1, share)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
