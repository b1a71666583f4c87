"""Reading the weights of checkpoint files (.pth, .safetensors, TorchScript) without executing code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from ahs_seg.checkpoints.importing.torchscript import is_torchscript, read_torchscript
from ahs_seg.errors import CheckpointError
from ahs_seg.io.pickles import DAMAGED, read_pickle
from ahs_seg.io.weight_files import stored_tensors
from ahs_seg.io.wrappers import unwrap

_WRAPPERS: Final = ("model", "state_dict")
_REASONS: Final = {
    "optimizer": "state of the optimizer, which only its training run can use",
    "scheduler": "state of the learning-rate schedule",
    "trainer": "state of the training loop",
    "iteration": "the step of the checkpoint",
    "epoch": "the epoch of the checkpoint",
}


@dataclass(frozen=True)
class Weights:
    """A state dict with its original keys, and the ignored entries of the file with the reason.

    `notes` are the wrappers around the keys that were removed, one line each.
    """

    state: dict[str, Tensor]
    ignored: dict[str, str]
    notes: tuple[str, ...] = ()


def read_weights(path: Path | str, known: Callable[[Collection[str]], bool] | None = None) -> Weights:
    """The weights of a detectron2 `.pth`, a `.safetensors` file or a TorchScript archive; no code in it is executed.

    The state dict is the whole content, or is stored under the key "model" or "state_dict". Prefixes that wrappers
    (DataParallel, compile and others) add to its keys are removed until `known` tells that they are the network's own.

    Raises:
        CheckpointError: the file is missing or damaged, has no weights, or refers to objects other than tensors.
    """
    source = Path(path)
    if not source.is_file():
        raise CheckpointError(f"{source}: no such file. Give a checkpoint file.")
    try:
        weights = _read(source)
    except CheckpointError:
        raise
    except DAMAGED as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(f"{source} is damaged ({reason}); copy or download it again.") from None
    if known is None:
        return weights
    found = unwrap(weights.state, known)
    return Weights(found.tensors, weights.ignored | dict(found.left_out or {}), found.removed)


def _read(source: Path) -> Weights:
    if is_torchscript(source):
        return Weights(read_torchscript(source), {})
    if source.suffix == ".safetensors":
        return Weights({key: tensor.read() for key, tensor in stored_tensors(source).items()}, {})
    return _unwrapped(read_pickle(source), source)


def _unwrapped(content: object, source: Path) -> Weights:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{source} holds a {type(content).__name__}, not a state dict.")
    entries: Mapping[object, object] = content
    ignored: dict[str, str] = {}
    for wrapper in _WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            ignored = {str(key): _REASONS.get(str(key), "not part of the weights") for key in content if key != wrapper}
            entries = inner
            break
    state = {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}
    foreign = [str(key) for key, value in entries.items() if not isinstance(value, Tensor)]
    if not state:
        names = ", ".join(foreign[:8]) or "nothing"
        raise CheckpointError(
            f'{source} holds no state dict; it has {names}. Give a state dict, alone or under the key "model".'
        )
    return Weights(state, ignored | dict.fromkeys(foreign, "not a tensor"))
