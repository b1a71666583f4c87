"""Reading detectron2 configs as plain values: `_BASE_` and Python literals are resolved, YAML tags never executed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from ahs_seg.config import ConfigError
from ahs_seg.documents import MAX_YAML_BYTES, DocumentError, parse_yaml, read_text

Value: TypeAlias = object
"""A number, string, boolean, `None`, a list of these, or `Tagged`."""

BASE: Final = "_BASE_"
_LONGEST_LITERAL: Final = 10_000


@dataclass(frozen=True)
class Tagged:
    """A YAML value with a tag that would run code; only the tag is kept."""

    tag: str


def read_detectron2(path: Path | str, overrides: Sequence[str] = ()) -> dict[str, Value]:
    """Every value of a config by its dotted key, with its base configs, after `KEY.SUB=value` overrides.

    Raises:
        ConfigError: the file or a base cannot be read, the bases are circular, or an override has another form.
    """
    values = _flat(_merged(Path(path), ()), "")
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {override!r} is not of the form KEY.SUB=value, e.g. TEST.SLIDING_WINDOW=True")
        values[key] = _decoded(_parsed(text, f"override {override!r}"))
    return values


def _merged(path: Path, above: tuple[Path, ...]) -> dict[str, Value]:
    place = path.expanduser().resolve()
    if place in above:
        circle = " -> ".join(file.name for file in (*above, place))
        raise ConfigError(f"{path}: its base configs are circular: {circle}. Remove one _BASE_.")
    try:
        text = read_text(place, MAX_YAML_BYTES)
    except (OSError, DocumentError) as error:
        asked = f", the base of {above[-1]}," if above else ""
        raise ConfigError(f"{path}{asked} cannot be read: {error}") from None
    values = _parsed(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}; a config is a mapping of keys to values.")
    bases = values.pop(BASE, [])
    merged: dict[str, Value] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        _update(merged, _merged(place.parent / Path(str(base)).expanduser(), (*above, place)))
    _update(merged, values)
    return merged


def _update(target: dict[str, Value], values: dict[str, Value]) -> None:
    for key, value in values.items():
        inner = target.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            _update(inner, value)
        else:
            target[key] = value


def _flat(values: dict[str, Value], prefix: str) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = _decoded(value)
    return result


def _decoded(value: Value) -> Value:
    """The value of a string with a Python literal, such as "(384, 384)", which is how detectron2 writes tuples."""
    if isinstance(value, str) and value[:1] in "([" and len(value) < _LONGEST_LITERAL:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value
    return list(value) if isinstance(value, tuple) else value


def _parsed(text: str, source: str) -> Value:
    try:
        return parse_yaml(text, source=source, loader=_Loader)
    except DocumentError as error:
        raise ConfigError(str(error)) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which returns values with unknown tags as `Tagged`."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Value:
    if suffix == "tuple" and isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return Tagged(f"!!python/{suffix}")


def _unknown(_: yaml.SafeLoader, suffix: str, __: yaml.Node) -> Value:
    return Tagged(f"!{suffix}")


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _tagged)
_Loader.add_multi_constructor("!", _unknown)
