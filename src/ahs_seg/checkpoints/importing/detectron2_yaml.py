"""Reading detectron2 configs as plain values: `_BASE_` and Python literals are resolved, YAML tags never executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from ahs_seg.config import ConfigError
from ahs_seg.documents import MAX_YAML_BYTES, DocumentError, parse_yaml, read_text
from ahs_seg.io.reach import from_home

Value: TypeAlias = object
"""A number, string, boolean, `None`, a list of these, or `Tagged`."""

BASE: Final = "_BASE_"
_LONGEST_LITERAL: Final = 10_000
MAX_BASES: Final = 50
"""Bases that a config and its bases name, all counted."""


@dataclass(frozen=True)
class Tagged:
    """A YAML value with a tag that would run code; only the tag is kept."""

    tag: str


def read_detectron2(path: Path | str, overrides: Sequence[str] = ()) -> dict[str, Value]:
    """Every value of a config by its dotted key, with its base configs, after `KEY.SUB=value` overrides.

    Raises:
        ConfigError: the file or a base cannot be read, the bases are circular or too many, or an override has another
            form.
    """
    values = _flat(_Files().merged(Path(path), ()), "")
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {override!r} is not of the form KEY.SUB=value, e.g. TEST.SLIDING_WINDOW=True")
        values[key] = _decoded(_parsed(text, f"override {override!r}"))
    return values


def config_files(path: Path | str) -> list[Path]:
    """The paths of a config and all its base configs.

    Raises:
        ConfigError: as by `read_detectron2`.
    """
    files = _Files()
    files.merged(Path(path), ())
    return [*files.known]


class _Files:
    """The config files that were read, each once, with the values of their bases."""

    def __init__(self) -> None:
        self.known: dict[Path, dict[str, Value]] = {}
        self._named = 0

    def merged(self, path: Path, above: tuple[Path, ...]) -> dict[str, Value]:
        """The values of a file over those of its bases; `above` are the files whose base it is."""
        with _reading(path, above):
            place = from_home(path).resolve()
        if place in above:
            circle = " -> ".join(file.name for file in (*above, place))
            raise ConfigError(f"{path}: its base configs are circular: {circle}. Remove one _BASE_.")
        if place in self.known:
            return self.known[place]
        with _reading(path, above):
            text = read_text(place, MAX_YAML_BYTES)
        values = _parsed(text, str(path))
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: holds a {type(values).__name__}; a config is a mapping of keys to values.")
        merged: dict[str, Value] = {}
        for base in self._bases(values.pop(BASE, []), path):
            merged = _over(merged, self.merged(place.parent / from_home(base), (*above, place)))
        self.known[place] = _over(merged, values)
        return self.known[place]

    def _bases(self, given: Value, path: Path) -> list[str]:
        bases = []
        for base in given if isinstance(given, list) else [given]:
            if not isinstance(base, str):
                raise ConfigError(f"{path}: {BASE} is {base!r}; give a path, a list of paths, or remove it.")
            bases.append(base)
        self._named += len(bases)
        if self._named > MAX_BASES:
            raise ConfigError(f"{path}: with it, more than {MAX_BASES} base configs are named; join some of them.")
        return bases


@contextmanager
def _reading(path: Path, above: tuple[Path, ...]) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # also links in a circle, and names that no file can have
        asked = f", the base of {above[-1]}," if above else ""
        raise ConfigError(f"{path}{asked} cannot be read: {error}") from None


def _over(base: dict[str, Value], values: dict[str, Value]) -> dict[str, Value]:
    """Both mappings in one; where a key is in both, mappings are joined, and other values are those of `values`."""
    result = dict(base)
    for key, value in values.items():
        inner = result.get(key)
        result[key] = _over(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return result


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
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
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
