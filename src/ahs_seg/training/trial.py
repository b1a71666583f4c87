"""Trial steps of a run, which change nothing: what a step needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from ahs_seg.io.free_memory import free_bytes
from ahs_seg.training.class_sampling import StepNames, relabel
from ahs_seg.training.forward import can_recompute, set_checkpointing
from ahs_seg.training.memory import SHARE, TensorBytes, state_bytes, unchanged
from ahs_seg.training.run import Run
from ahs_seg.training.sampler import Pictures

_MIB: Final = 2**20


def _mib(size: int | float) -> str:
    return f"{size / _MIB:,.0f} MiB"


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Peak of the tensors of a step, weights and gradients apart: bytes for any number of images, and seconds of one.

    `seconds` is the time of a step with one image.
    """

    fixed: int
    per_image: int
    seconds: float

    def of(self, images: int) -> int:
        """Bytes of a step with this many images."""
        return self.fixed + images * self.per_image

    def largest(self, free: int | float) -> int:
        """The largest number of images that fits into this many bytes; 0: none does."""
        return max(0, int((free - self.fixed) // max(1, self.per_image)))


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """Memory and time of the steps of a run: bytes of weights, of gradients and moments, and of activations.

    `kept` and `recomputed` are without and with recomputation of activations (None: the method has none). `free` is the
    memory that a device leaves, beside the weights (None: not known); `batch` is the number of images that a process
    holds at once in a step of the recipe, `classes` that of a step.
    """

    weights: int
    optimizer: int
    kept: StepMemory
    recomputed: StepMemory | None
    free: int | None
    batch: int
    classes: int

    def largest(self, step: StepMemory) -> int | None:
        """The largest micro-batch that fits into `SHARE` of the free memory; None: free memory is not known."""
        return None if self.free is None else step.largest(SHARE * self.free - self.optimizer)

    def lines(self) -> Iterator[str]:
        """What was found, for people."""
        free = "not known here" if self.free is None else _mib(self.free)
        yield f"{self.classes} classes a step, {self.batch} image(s) at once; free memory {free}"
        yield f"weights {_mib(self.weights)}, gradients and moments {_mib(self.optimizer)}"
        for title, step in (("activations kept", self.kept), ("activations recomputed", self.recomputed)):
            if step is None:
                yield f"{title}: this method cannot"
                continue
            found = self.largest(step)
            fitting = "" if found is None else f"; largest batch that fits {found}"
            yield (
                f"{title}: {_mib(step.fixed)} and {_mib(step.per_image)} an image, {_mib(step.of(self.batch))} in all; "
                f"{step.seconds:.2f} s for a step of one image{fitting}"
            )


def estimate_step(run: Run, names: StepNames, both: Pictures) -> TrainingEstimate:
    """What the steps of a run need, from trial steps with one image and with two."""
    method = run.step.method
    steps = {
        enabled: _measured(run, names, both, enabled=enabled)
        for enabled in ((False, True) if can_recompute(method) else (False,))
    }
    weights, optimizer = state_bytes(run.step)
    share = run.recipe.share(run.fabric.world_size)
    free = free_bytes(run.fabric.device)
    return TrainingEstimate(weights, optimizer, steps[False], steps.get(True), free, share, len(names.rows))


def _measured(run: Run, names: StepNames, both: Pictures, *, enabled: bool) -> StepMemory:
    with _trial(run, enabled=enabled):
        for value in run.step.parameters():
            value.grad = torch.zeros_like(value) if value.requires_grad else None
        whole_step(run, names, both, 1)  # what only a first step does, such as encoding words for a frozen text tower
        peaks = []
        for images in (1, 2):
            with TensorBytes() as counted:
                whole_step(run, names, both, images)
            peaks.append(counted.peak)
        _wait(run.fabric.device)
        began = time.perf_counter()
        whole_step(run, names, both, 1)
        _wait(run.fabric.device)
        seconds = time.perf_counter() - began
    per_image = max(0, peaks[1] - peaks[0])
    return StepMemory(max(0, peaks[0] - per_image), per_image, seconds)


def _wait(device: torch.device) -> None:
    """Wait for what a GPU has been asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def whole_step(run: Run, names: StepNames, part: Pictures, images: int) -> None:
    """One forward and backward pass over the first images of a micro-batch; gradients are added to those there are."""
    losses = _forward(run, names, part, images)
    torch.stack(list(losses.values())).sum().backward()


def _forward(run: Run, names: StepNames, part: Pictures, count: int) -> Mapping[str, Tensor]:
    device, rows = run.fabric.device, names.rows
    labels = relabel(part.labels[:count], rows, run.classes).to(device)
    step: Callable[..., Mapping[str, Tensor]] = run.step
    images = part.images[:count].to(device)
    with run.fabric.autocast():
        return step(images, labels, names.text, names.table.row_class, rows.to(device), 0.0)


@contextmanager
def _trial(run: Run, *, enabled: bool) -> Iterator[None]:
    """Context in which steps may be tried: buffers, gradients and random states stay what they are."""
    method: nn.Module = run.step.method
    devices = [run.fabric.device] if run.fabric.device.type == "cuda" else []
    with unchanged(run.step), torch.random.fork_rng(devices):
        if can_recompute(method):
            set_checkpointing(method, enabled=enabled)
        yield
