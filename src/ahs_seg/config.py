"""Typed, immutable configurations read from yaml, with validation errors that name the key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from importlib import metadata
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from ahs_seg.documents import DocumentError, Override, check_order, overrides_of, read_yaml, shown
from ahs_seg.errors import AhsSegError

VERSION: Final = metadata.version("ahs-seg")
"""Version of this package, read from its installed metadata."""

CUSTOM: Final = "custom"
"""Key of the validation context under which the caller's own config classes are passed."""

MAX_WIDTH: Final = 65_536
"""Channels, heads and other sizes of one layer that a config may ask for."""
MAX_LAYERS: Final = 1_000
"""Layers or stages that a config may ask for."""
MAX_SIDE: Final = 8_192
"""Side of an image or a window, in pixels, to which a config may resize or pad."""
_LARGEST_INTEGER: Final = 2**63 - 1

Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]

_Config = TypeVar("_Config", bound="Config")


class ConfigError(AhsSegError, ValueError):
    """An invalid configuration; the message names the key, the given value and the allowed values."""


class Config(BaseModel):
    """Base class of all configurations: immutable; an unknown key raises an error that names the key.

    Numbers are finite, integers have at most 64 bits, and `true` is not a number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        """A validated configuration with these values, and defaults for all other fields.

        Raises:
            ConfigError: lists every invalid key with its given value and the allowed values.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error, type(self), type(self).__name__)) from None

    # Otherwise pydantic would call `__init__` for nested configs too, and their errors would lack the outer keys.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # how pydantic marks its own `__init__`

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_long_integers(cls, value: object) -> object:
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int) and abs(one) > _LARGEST_INTEGER:
                raise ValueError(f"integers are between -{_LARGEST_INTEGER} and {_LARGEST_INTEGER}")
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_true_as_number(cls, values: object, validate: Callable[[object], _Config]) -> _Config:
        result = validate(values)
        given = values if isinstance(values, dict) else {}
        for key in type(result).model_fields:
            if _became_number(given.get(key), getattr(result, key)):
                raise ValueError(f"{key} is a number, not true or false")
        return result

    def replace(self: _Config, **changes: Any) -> _Config:
        """A copy with changed values, validated like a new configuration.

        Raises:
            ConfigError: lists every invalid key with its given value and the allowed values.
        """
        return type(self)(**(dict(self) | changes))

    @classmethod
    def parse(
        cls: type[_Config],
        values: dict[str, Any],
        overrides: Sequence[str] = (),
        *,
        source: str = "config",
        preset: Sequence[str] = (),
        custom: Sequence[type[Config]] = (),
    ) -> _Config:
        """The validated configuration from `values`, with `key.sub=value` overrides applied.

        The value of an override is YAML; a number, a date or a truth value is read as a text where only that is valid,
        as for a folder that is called 2024. None may undo one before it, except those of a program (`preset`). `custom`
        are the caller's own config classes, which `values` may name besides those of this package (see `OneOf`).

        Raises:
            ConfigError: lists every invalid key with its given value and the allowed values.
        """

        def check(changes: Sequence[Override]) -> _Config:
            changed = reduce(lambda found, one: one.apply(found, partial(_values_of, cls)), changes, values)
            return cls.model_validate(changed, context={CUSTOM: tuple(custom)})

        try:
            changes = [Override.parse(one) for one in (*preset, *overrides)]
            check_order(changes[len(preset) :])
            return _valid(check, changes)
        except DocumentError as error:
            raise ConfigError(str(error)) from None
        except ValidationError as error:
            raise ConfigError(_explain(error, cls, source, changes)) from None

    @classmethod
    def read(
        cls: type[_Config],
        path: Path | str,
        overrides: Sequence[str] = (),
        *,
        preset: Sequence[str] = (),
        custom: Sequence[type[Config]] = (),
    ) -> _Config:
        """The validated configuration from a yaml file, with overrides (see `parse`); yaml tags are an error."""
        try:
            return cls.parse(read_yaml(Path(path)), overrides, source=str(path), preset=preset, custom=custom)
        except DocumentError as error:
            raise ConfigError(str(error)) from None

    def to_yaml(self) -> str:
        """The configuration as yaml text; `read` restores the same configuration from it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


@dataclass(frozen=True)
class OneOf:
    """Annotation of a field that holds one of several config classes, selected by the value of `name`.

    Values from a file can select only a class in `known` or one that the caller passes to `Config.parse`, so that a
    file never decides what is imported. A config object may be of any subclass of `base` with a unique `name`. With
    `read`, a text stands for the config that it returns.
    """

    base: type[Config]
    known: tuple[type[Config], ...]
    read: Callable[[str], Config] | None = None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Schema that first validates custom classes, then the discriminated union of the known classes."""
        union = handler.generate_schema(Annotated[reduce(or_, self.known), Field(discriminator="name")])
        as_it_is = core_schema.simple_ser_schema("any")
        return core_schema.with_info_wrap_validator_function(self._validate, union, serialization=as_it_is)

    def _validate(
        self, value: object, known: Callable[[object], object], info: Any
    ) -> object:  # pydantic's ValidationInfo
        if self.read is not None and isinstance(value, str):
            value = self.read(value)
        if isinstance(value, self.base) and type(value) not in self.known:
            self._check(type(value))
            return value
        passed = (info.context or {}).get(CUSTOM, ())
        custom = [one for one in passed if issubclass(one, self.base)]
        if not isinstance(value, dict) or "name" not in value:
            return known(value)
        for one in custom:
            self._check(one)
            if config_name(one) == value["name"]:
                return one.parse(value, source=str(value["name"]), custom=passed)
        names = [config_name(one) for one in (*self.known, *custom)]
        if value["name"] not in names:
            raise ValueError(
                f"no {value['name']!r}; allowed are {', '.join(map(str, names))}. Pass the class if it is your own, "
                "e.g. methods=[MyConfig], tuners=[MyTuner] or datasets=[MyData]"
            )
        return known(value)

    def _check(self, config: type[Config]) -> None:
        names = {config_name(one): one.__name__ for one in self.known}
        if config_name(config) in (None, *names):
            raise ValueError(
                f"{config.__name__}.name is {config_name(config)!r}; give it a name of its own, other than "
                f"{', '.join(map(str, names))}: name: Literal['mine'] = 'mine'"
            )


def config_name(config: type[Config]) -> object:
    """The default of the field `name`, which selects the class in files (None: there is no default)."""
    field = config.model_fields.get("name")
    return None if field is None or field.is_required() else field.default


def _became_number(given: object, result: object) -> bool:
    """Whether `true` or `false` was converted to 1 or 0."""
    if isinstance(given, tuple | list) and isinstance(result, tuple | list):
        return any(_became_number(one, other) for one, other in zip(given, result, strict=False))
    return isinstance(given, bool) and isinstance(result, int | float) and not isinstance(result, bool)


def _valid(check: Callable[[Sequence[Override]], _Config], overrides: Sequence[Override]) -> _Config:
    """What `check` makes of the overrides; one whose value is not valid is a text if that is."""
    try:
        return check(overrides)
    except ValidationError as error:
        failed = error
    for index, override in enumerate(overrides):
        text = override.as_text()
        if text is override or override not in _causes(failed, overrides):
            continue
        changed = [*overrides[:index], text, *overrides[index + 1 :]]
        try:
            return check(changed)
        except ValidationError as error:
            if text not in _causes(error, changed):
                overrides, failed = changed, error
    raise failed


def _causes(error: ValidationError, overrides: Sequence[Override]) -> list[Override]:
    return [one for item in error.errors(include_url=False) for one in overrides_of(overrides, item["loc"])]


def _explain(error: ValidationError, config: type[Config], source: str, overrides: Sequence[Override] = ()) -> str:
    lines, in_source = [], False
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "(top level)"
        message = item["msg"]
        if item["type"] == "extra_forbidden":
            known = _keys_at(config, item["loc"][:-1])
            message = f"unknown key; allowed are {', '.join(known)}" if known else "unknown key"
            near = _near_keys(str(item["loc"][-1]), config, item["loc"][:-1])
            message += f"; did you mean {' or '.join(near)}?" if near else ""
        lines.append(f"  {key}: {message} (given: {shown(item['input'])})")
        in_source |= not item["loc"] or not overrides_of(overrides, item["loc"])
    given = [f"override {one!r}" for one in dict.fromkeys(one.written for one in _causes(error, overrides))]
    places = [*([source] if in_source else []), *given]
    return f"{' and '.join(places)} {'is' if len(places) == 1 else 'are'} not valid:\n" + "\n".join(lines)


def _near_keys(name: str, config: type[Config], path: Sequence[int | str]) -> list[str]:
    """Keys with nearly this name at `path`, or with exactly this name one level below it."""
    known = _keys_at(config, path)
    below = [f"{key}.{name}" for key in known if name in _keys_at(config, [*path, key]) and key != name]
    return difflib.get_close_matches(name, known, n=2, cutoff=0.7) or below[:2]


def _keys_at(config: type[Config], path: Sequence[int | str]) -> list[str]:
    return sorted({key for one in _configs_at(config, path) for key in one.model_fields})


def _values_of(config: type[Config], path: Sequence[str], text: str) -> object:
    """The values of the config that a text at `path` inside another config stands for, or the text itself."""
    fields = [one.model_fields[path[-1]] for one in _configs_at(config, path[:-1]) if path[-1] in one.model_fields]
    readers = [one.read for field in fields for one in _types_in(field) if isinstance(one, OneOf) and one.read]
    return readers[0](text).model_dump() if readers else text


def _configs_at(config: type[Config], path: Sequence[int | str]) -> list[type[Config]]:
    """The configs at `path` inside another config; `path` may contain indices and union tags of pydantic."""
    found: list[type[Config]] = [config]
    for part in path:
        fields = [one.model_fields[part] for one in found if part in one.model_fields]
        if fields:
            types = [one for field in fields for one in _types_in(field)]
            found = [one for each in types for one in (each.known if isinstance(each, OneOf) else (each,))]
        else:
            tagged = [one for one in found if part in (one.__name__, config_name(one))]
            found = tagged or found
    return found


def _types_in(part: object) -> list[OneOf | type[Config]]:
    """The configs and unions of configs in a field or an annotation."""
    if isinstance(part, OneOf) or (isinstance(part, type) and issubclass(part, Config)):
        return [part]
    inner = (*part.metadata, part.annotation) if isinstance(part, FieldInfo) else get_args(part)
    return [one for each in inner for one in _types_in(each)]
