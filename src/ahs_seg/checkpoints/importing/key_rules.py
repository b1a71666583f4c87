"""Conversion of state dicts by rules: every key is mapped, or ignored with a reason; none is dropped silently."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.io.weight_files import HasShape, differences, listed

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
        ConversionError: no rule matches a key, or two keys give the same new key; the message names all of them.
    """
    converted: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    origins: dict[str, str] = {}
    unknown: list[str] = []
    twice: list[str] = []
    compiled = [(re.compile(rule.pattern), rule) for rule in rules]
    for key, tensor in state.items():
        matches = ((pattern.fullmatch(key), rule) for pattern, rule in compiled)
        match, rule = next(((match, rule) for match, rule in matches if match), (None, None))
        if match is None or rule is None:
            unknown.append(key)
        elif rule.ignored:
            ignored[key] = rule.ignored
        else:
            target = match.expand(rule.target)
            parts = {target + suffix: part for suffix, part in rule.change(tensor).items()}
            twice += [f"{key} and {origins[part]} both give {part}" for part in parts if part in origins]
            converted.update(parts)
            origins.update(dict.fromkeys(parts, key))
    if unknown:
        raise ConversionError(f"{len(unknown)} unknown keys: {listed(unknown)}. Nothing was imported.")
    if twice:
        raise ConversionError(f"{len(twice)} duplicate keys: {listed(twice)}. Nothing was imported.")
    return Conversion(converted, ignored, origins)


def check_complete(
    state: Mapping[str, HasShape], expected: Mapping[str, HasShape], origins: Mapping[str, str] | None = None
) -> None:
    """Check that two state dicts have the same keys and shapes; raises `ConversionError` with every difference.

    `origins` are the original keys in the file, which the message adds.
    """
    if faults := differences(state, expected, origins):
        raise ConversionError(f"the weights do not fit the model: {faults}")
