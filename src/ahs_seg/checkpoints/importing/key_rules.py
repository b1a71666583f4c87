"""Conversion of state dicts by rules: every key is mapped, or ignored with a reason; none is dropped silently."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.io.weight_files import HasShape, differences, listed

MAX_SHARING: Final = 2
"""Weights of a model that may share one stored value, as tied weights do."""

Convert = Callable[[Tensor], Mapping[str, Tensor]]


class ConversionError(AhsSegError, ValueError):
    """A state dict does not have the expected keys or shapes; the message lists the keys."""


@dataclass(frozen=True)
class Rule:
    """Rule that renames the keys that match `pattern` (whole key) to `target`, a template for `re.Match.expand`.

    With `ignored`, matching keys are dropped for that reason. `change` may reshape or split the tensor: it returns
    tensors by suffix, which are stored under `target` + suffix.
    """

    pattern: str
    target: str = ""
    ignored: str = ""
    change: Convert = lambda tensor: {"": tensor}


@dataclass(frozen=True)
class Conversion:
    """The converted state dict, the ignored keys with the reason, and the original key of every new key."""

    state: dict[str, Tensor]
    ignored: dict[str, str]
    origins: dict[str, str] = field(default_factory=dict)


def convert(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> Conversion:
    """Convert a state dict by applying the first matching rule to every key.

    Raises:
        ConversionError: no rule matches a key, two keys give the same new key, or a tensor claims more values than the
            file holds or cannot be converted; the message names all of them.
    """
    ignored: dict[str, str] = {}
    used: dict[str, tuple[Rule, str]] = {}
    unknown: list[str] = []
    compiled = [(re.compile(rule.pattern), rule) for rule in rules]
    for key in state:
        matches = ((pattern.fullmatch(key), rule) for pattern, rule in compiled)
        match, rule = next(((match, rule) for match, rule in matches if match), (None, None))
        if match is None or rule is None:
            unknown.append(key)
        elif rule.ignored:
            ignored[key] = rule.ignored
        else:
            used[key] = (rule, match.expand(rule.target))
    if unknown:
        raise ConversionError(f"{len(unknown)} unknown keys: {listed(unknown)}. Nothing was imported.")
    check_claims({key: state[key] for key in used})
    converted: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    twice: list[str] = []
    for key, (rule, target) in used.items():
        parts = {target + suffix: part for suffix, part in _changed(key, state[key], rule.change).items()}
        twice += [f"{key} and {origins[part]} both give {part}" for part in parts if part in origins]
        converted.update(parts)
        origins.update(dict.fromkeys(parts, key))
    if twice:
        raise ConversionError(f"{len(twice)} duplicate keys: {listed(twice)}. Nothing was imported.")
    return Conversion(converted, ignored, origins)


def check_claims(state: Mapping[str, Tensor]) -> None:
    """Compare the values that tensors claim with those that are stored for them, before any is copied.

    Raises:
        ConversionError: tensors repeat what is stored too often, by a stride of 0 or by one storage for many tensors.
    """
    stored = {(part := tensor.untyped_storage()).data_ptr(): part.nbytes() for tensor in state.values()}
    claims = {key: tensor.numel() * tensor.itemsize for key, tensor in state.items()}
    if sum(claims.values()) > MAX_SHARING * sum(stored.values()):
        most = max(claims, key=claims.__getitem__)
        raise ConversionError(
            f"the weights claim {sum(claims.values()):,} bytes (the most, {claims[most]:,}, are those of {most}), the "
            f"file stores {sum(stored.values()):,} for them, of which each may be used {MAX_SHARING} times. Save the "
            "state dict again with every tensor cloned."
        )


def _changed(key: str, tensor: Tensor, change: Convert) -> Mapping[str, Tensor]:
    try:
        return change(tensor)
    except (RuntimeError, ValueError, LookupError, TypeError) as error:  # what torch raises for a shape of another rank
        raise ConversionError(f"{key} is {tuple(tensor.shape)}, which no such weight can be ({error})") from None


def check_complete(
    state: Mapping[str, HasShape], expected: Mapping[str, HasShape], origins: Mapping[str, str] | None = None
) -> None:
    """Check that two state dicts have the same keys and shapes; raises `ConversionError` with every difference.

    `origins` are the original keys in the file, which the message adds.
    """
    if faults := differences(state, expected, origins):
        raise ConversionError(f"the weights do not fit the model: {faults}")
