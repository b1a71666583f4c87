"""Settings by name for the modules of a method: `documented` and `tuned`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import model_validator

from ahs_seg.config import Config

SETTING: Final = "setting"
"""Key that names a setting of a module."""


class ModuleConfig(Config):
    """Config of a module of a method, with settings by name: `{setting: tuned, rank: 16}`.

    `documented` are the values of the publication, which are also the defaults; `tuned` are those that we chose on
    validation data, where they differ. A setting gives the values of all keys that are not given themselves.
    """

    TUNED: ClassVar[Mapping[str, Any]] = {}
    """The values of the setting `tuned` that differ from the documented ones; without any there is no such setting."""

    @model_validator(mode="before")
    @classmethod
    def _apply_setting(cls, values: object) -> object:
        if not isinstance(values, dict) or SETTING not in values:
            return values
        settings: dict[object, Mapping[str, Any]] = {"documented": {}} | ({"tuned": cls.TUNED} if cls.TUNED else {})
        given = {key: value for key, value in values.items() if key != SETTING}
        name = values[SETTING]
        if not isinstance(name, str) or name not in settings:
            raise ValueError(f"{SETTING} is {name!r}, but must be {' or '.join(map(str, settings))}")
        return {**settings[name], **given}
