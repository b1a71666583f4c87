"""Weights under the keys of the network itself: prefixes and entries that training code adds are removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

PREFIXES: Final = {
    "module.": "DataParallel, DistributedDataParallel or an average of weights",
    "_orig_mod.": "torch.compile",
    "_forward_module.": "Fabric",
    "model.": "a Lightning module",
    "network.": "a training module",
    "ema_model.": "an average of weights",
    "model_ema.": "an average of weights",
    "ema.": "an average of weights",
}
"""Prefixes that wrappers add to every key, and what adds them; earlier ones are preferred."""
_BESIDE: Final = {"n_averaged": "the number of averaged steps"}
_NESTED: Final = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Unwrapped(Generic[T]):
    """Tensors under their own keys, the wrappers that were removed (one line each), and what was left out and why."""

    tensors: dict[str, T]
    removed: tuple[str, ...] = ()
    left_out: Mapping[str, str] | None = None


def unwrap(tensors: Mapping[str, T], known: Callable[[Collection[str]], bool]) -> Unwrapped[T]:
    """The tensors without the wrappers around their keys; `known` tells keys of a network from wrapped ones.

    A prefix is removed if all keys have it, or if the keys that have it are then known; the others are left out.
    """
    current, removed, left_out = dict(tensors), [], {}
    for _ in range(_NESTED):
        if known(current):
            break
        step = next((found for prefix in PREFIXES if (found := _without(current, prefix, known)) is not None), None)
        if step is None:
            break
        prefix, inside, outside = step
        removed.append(f"{len(inside)} keys begin with {prefix!r} ({PREFIXES[prefix]}), which was removed")
        left_out.update({name: _BESIDE.get(name, f"not below {prefix!r}") for name in outside})
        current = inside
    return Unwrapped(current, tuple(removed), left_out)


def _without(
    tensors: Mapping[str, T], prefix: str, known: Callable[[Collection[str]], bool]
) -> tuple[str, dict[str, T], list[str]] | None:
    inside = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    if not inside or (set(outside) - _BESIDE.keys() and not known(inside)):
        return None
    return prefix, inside, outside
