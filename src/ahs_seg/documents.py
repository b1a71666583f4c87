"""JSON, YAML and overrides of unknown origin as plain values, in time and memory that follow the length of the text.

A few bytes of YAML can stand for huge data: aliases multiply what they refer to. Deep nesting ends the interpreter's
stack, and numbers of thousands of digits take quadratic time. Each is compared with a limit before values are built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from ahs_seg.errors import AhsSegError

MAX_DOCUMENT_BYTES: Final = 64 * 2**20
"""Size of a JSON file; a tokenizer is the largest one that models come with."""
MAX_LARGE_DOCUMENT_BYTES: Final = 2**31
"""Size of a JSON file with masks or counts of a whole dataset: annotations, predictions, reports, parts of outputs."""
MAX_YAML_BYTES: Final = 2**20
"""Size of a YAML text."""
MAX_YAML_VALUES: Final = 10_000
"""Number of values in a YAML text, counting what an alias refers to at every place where it is used."""
MAX_DEPTH: Final = 100
"""Depth to which JSON and YAML may be nested."""


_PART_BYTES: Final = 2**20
_COMMENT: Final = re.compile(r"(^|\s)#")
_SHOWN_CHARACTERS: Final = 200
_QUOTED_OR_FLOW: Final = ("'", '"', "[", "{")


Expand: TypeAlias = Callable[[tuple[str, ...], str], object]
"""What a text at the place of these keys stands for: a mapping, or the text itself."""


class DocumentError(AhsSegError, ValueError):
    """A text is not JSON or YAML, or exceeds a limit; the message starts with its name."""


def read_json(path: Path, *, limit: int = MAX_DOCUMENT_BYTES) -> Any:
    """The content of a JSON file of at most `limit` bytes.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DocumentError: it is not JSON, or too long, or nested too deeply.
    """
    return parse_json(read_text(path, limit), source=str(path))


def read_mapping(path: Path, *, limit: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
    """The content of a JSON file that holds a mapping; see `read_json`."""
    values = read_json(path, limit=limit)
    if not isinstance(values, dict):
        raise DocumentError(f"{path} holds a {type(values).__name__}, not a mapping of keys to values")
    return values


def parse_json(text: str, *, source: str) -> Any:
    """The value of a JSON text, in which numbers may be NaN or infinite; `source` is its name in messages."""
    try:
        values = json.loads(text)
    except RecursionError:
        raise DocumentError(f"{source} is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:  # not JSON, or a number of more digits than Python converts
        raise DocumentError(f"{source} is not readable as JSON: {error}") from None
    if _deeper(values, MAX_DEPTH):
        raise DocumentError(f"{source} is nested more than {MAX_DEPTH} levels deep")
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """The content of a YAML file that holds a mapping; an empty file holds an empty one.

    Raises:
        DocumentError: there is no such file, or it holds something else; otherwise as by `parse_yaml`.
    """
    try:
        values = parse_yaml(read_text(path, MAX_YAML_BYTES), source=str(path))
    except FileNotFoundError:
        raise DocumentError(f"{path}: no such config file. Give the path of a yaml file.") from None
    except OSError as error:
        raise DocumentError(str(error)) from None
    if not isinstance(values, dict | None):
        raise DocumentError(f"{path}: holds a {type(values).__name__}; a config is a mapping of keys to values.")
    return values or {}


def read_text(path: Path, limit: int) -> str:
    """The text of a UTF-8 file of at most `limit` bytes; a larger one is refused before it is read."""
    parts: list[bytes] = []  # of one size each: a buffer that grows would be copied, and leave holes behind
    size = 0
    with path.open("rb") as file:
        while size <= limit and (part := file.read(_PART_BYTES)):
            parts.append(part)
            size += len(part)
    if size > limit:
        raise DocumentError(f"{path} has more than {limit:,} bytes, the limit for such a file")
    content = b"".join(parts)
    parts.clear()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not readable as UTF-8 text: {error}") from None


def parse_yaml(text: str, *, source: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value of a YAML text, with the constructors of `loader`; `source` is its name in messages.

    Raises:
        DocumentError: it is not plain YAML (tags such as `!!python/object` are not), or exceeds a limit.
    """
    if len(text) > MAX_YAML_BYTES:
        raise DocumentError(f"{source} has {len(text):,} characters; YAML may have {MAX_YAML_BYTES:,}.")
    try:
        _check_events(text, source, loader)
        reader = loader(text)
        node = reader.get_single_node()
        if node is None:
            return None
        _check_values(node, source)
        return reader.construct_document(node)
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:  # an int of 5,000 digits, a date of day 99
        raise DocumentError(f"{source}: not plain yaml: {error}") from None


@dataclass(frozen=True, slots=True)
class Override:
    """A change of one value of a document, `written` as `key.sub=value`.

    The value is YAML without comments: a text with a `#`, such as "streets #2", is taken as it is.
    """

    written: str
    keys: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, written: str) -> Override:
        """The override of a text.

        Raises:
            DocumentError: it has another form, or its value is not plain YAML.
        """
        key, separator, text = written.partition("=")
        keys, text = tuple(key.strip().split(".")), text.strip()
        if not separator or not all(keys):
            raise DocumentError(f"override {written!r} is not of the form key.sub=value, e.g. training.steps=500")
        if _COMMENT.search(text) and not text.startswith(_QUOTED_OR_FLOW):
            return cls(written, keys, text)
        return cls(written, keys, parse_yaml(text, source=f"override {written!r}: the value"))

    def as_text(self) -> Override:
        """The override with its value as it is written, if YAML reads a number, a date or a truth value in it."""
        if not isinstance(self.value, bool | int | float | date):
            return self
        return replace(self, value=self.written.partition("=")[2].strip())

    def replaces(self, other: Override) -> bool:
        """Whether this override sets a whole group anew, of which the other one sets a part; null leaves it out."""
        below = len(self.keys) < len(other.keys) and other.keys[: len(self.keys)] == self.keys
        return below and self.value is not None

    def apply(self, values: dict[str, Any], expand: Expand) -> dict[str, Any]:
        """A copy of a document with the changed value; a text where the keys go on is expanded.

        Raises:
            DocumentError: a value lies where the keys go on.
        """
        result = dict(values)
        node = result
        for depth, key in enumerate(self.keys[:-1], start=1):
            child = node.get(key, {})
            if isinstance(child, str):
                child = expand(self.keys[:depth], child)
            if not isinstance(child, dict):
                raise DocumentError(
                    f"override {self.written!r}: {key!r} holds the value {shown(child)} and has no keys below it"
                )
            node[key] = dict(child)
            node = node[key]
        node[self.keys[-1]] = self.value
        return result


def check_order(overrides: Sequence[Override]) -> None:
    """Refuse overrides that a later one would undo.

    Raises:
        DocumentError: there is one.
    """
    for index, override in enumerate(overrides):
        if later := next((one for one in overrides[index + 1 :] if one.replaces(override)), None):
            raise DocumentError(
                f"override {override.written!r} is undone by {later.written!r} after it; write it after that one, or "
                "leave it out."
            )


def shown(value: object) -> str:
    """A value as messages show it: its start, if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python converts to text
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def overrides_of(overrides: Sequence[Override], path: Sequence[int | str]) -> list[Override]:
    """The overrides that determine the value at `path`, which may contain union tags: the last of it, and parts of it.

    Overrides whose value is replaced by a later one are left out.
    """
    found: list[Override] = []
    for override in overrides:
        reached = 0
        for part in path:
            reached += reached < len(override.keys) and str(part) == override.keys[reached]
        if reached == len(override.keys):
            found = [override]
        elif not path or (reached and str(path[-1]) == override.keys[reached - 1]):
            found = [one for one in found if one.keys[: len(override.keys)] != override.keys]
            found.append(override)
    return found


def _deeper(value: object, limit: int) -> bool:
    """Whether lists and dictionaries are nested more than `limit` levels deep."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _check_events(text: str, source: str, loader: type[yaml.SafeLoader]) -> None:
    """Check depth and number of values of the text itself; the parser's events need no recursion."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise DocumentError(f"{source} is nested more than {MAX_DEPTH} levels deep; write it with fewer levels.")
        if count > 2 * MAX_YAML_VALUES:
            raise DocumentError(f"{source} has more than {MAX_YAML_VALUES:,} values; write fewer.")


def _check_values(root: yaml.Node, source: str) -> None:
    """Check depth and number of values after aliases are replaced by what they refer to, without replacing any."""
    counts: dict[int, int] = {}
    open_nodes = [(root, iter(_inner(root)))]
    while open_nodes:
        node, rest = open_nodes[-1]
        following = next((one for one in rest if id(one) not in counts), None)
        if following is None:
            counts[id(node)] = 1 + sum(counts[id(one)] for one in _inner(node))
            open_nodes.pop()
        elif len(open_nodes) > MAX_DEPTH:  # also if an alias is used inside its own anchor
            raise DocumentError(f"{source}: its aliases (*name) nest too deeply, or in a circle; write the values out.")
        else:
            open_nodes.append((following, iter(_inner(following))))
        if counts.get(id(node), 0) > MAX_YAML_VALUES:
            raise DocumentError(
                f"{source}: its aliases (*name) expand to more than {MAX_YAML_VALUES:,} values; write the values out."
            )


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
