"""Translation of configs of CAT-Seg and H-CLIP: every key is translated, or listed with the reason why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ahs_seg.checkpoints.importing.detectron2_keys import (
    DEFAULTS,
    UNSUPPORTED_DEFAULTS,
    UnsupportedError,
    translated,
)
from ahs_seg.checkpoints.importing.detectron2_yaml import Value, read_detectron2
from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.config import ConfigError
from ahs_seg.vocabulary.vocabulary import Vocabulary

_TRAINING: Final = "DATASETS.TRAIN"
_DATA: Final = {"coco_2017_train_stuff_all_sem_seg": "coco-stuff-171"}


@dataclass(frozen=True)
class Translation:
    """The translated config as nested `values`, and what every original key was mapped to or why it was dropped."""

    values: dict[str, Value]
    trained_on: str | None
    mapped: dict[str, str]
    dropped: dict[str, str]

    def description(self) -> ModelDescription:
        """The description of a model that was trained with this config, for its model directory."""
        training = self.values.get("training", {})
        values: dict[str, Value] = {key: self.values[key] for key in ("method", "inference") if key in self.values}
        if isinstance(training, dict) and "prompts" in training:
            values["prompts"] = training["prompts"]
        found = ModelDescription.parse(values, source="the translated config")
        return found if self.trained_on is None else found.trained_with(Vocabulary.known(self.trained_on))

    def to_yaml(self) -> str:
        """The config as YAML for `ahs-seg train`, still without `data`; comments at the top list the dropped keys."""
        lines = ["# Translated from a detectron2 config. Add `data`. Keys without a counterpart here:"]
        lines += [f"#   {key}: {reason}" for key, reason in self.dropped.items()]
        return "\n".join(lines) + "\n" + yaml.safe_dump(self.values, sort_keys=False)

    def __str__(self) -> str:
        return "\n".join(f"  {key} -> {fate}" for key, fate in {**self.mapped, **self.dropped}.items())


def translate_config(path: Path | str, overrides: Sequence[str] = ()) -> Translation:
    """The translation of an original config file (with `_BASE_`); `overrides` use the original keys, as in its scripts.

    Raises:
        ConfigError: the file cannot be read, or has values that are not supported here, or leaves out keys whose
            defaults in detectron2 are not; each such key is named.
    """
    given = read_detectron2(path, overrides)
    original = DEFAULTS | UNSUPPORTED_DEFAULTS | given
    values: dict[str, Value] = {}
    mapped: dict[str, str] = {}
    dropped: dict[str, str] = {}
    faults: list[str] = []
    for key in sorted(original, key=_late):
        try:
            ours, reason = translated(key, original)
        except UnsupportedError as error:
            origin = "given" if key in given else "not set; the original's default"
            faults.append(f"  {key}: {error} ({origin}: {original[key]!r})")
            continue
        if ours:
            origin = "" if key in given else " (the original's default)"
            mapped[key] = ", ".join(f"{name} = {value}" for name, value in ours.items()) + origin
        elif key not in given:
            continue
        else:
            dropped[key] = reason
        for name, value in ours.items():
            _set(values, name.split("."), value)
    if faults:
        raise ConfigError(f"{path} has values that are not supported here:\n" + "\n".join(faults))
    trained_on = _vocabulary(original.get(_TRAINING))
    if trained_on is not None:
        dropped.pop(_TRAINING)
        mapped[_TRAINING] = f"trained_on = the names of {trained_on}"
    return Translation(values, trained_on, mapped, dropped)


def _vocabulary(value: Value) -> str | None:
    names = value if isinstance(value, list) else [value]
    return _DATA.get(str(names[0])) if len(names) == 1 else None


def _late(key: str) -> bool:
    """Sort order of the keys: those that switch off what other keys set come last."""
    return key.endswith("ENABLED")


def _set(values: dict[str, Value], path: list[str], value: Value) -> None:
    *parents, last = path
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            return  # the parent is switched off
        values = inner
    values[last] = value
