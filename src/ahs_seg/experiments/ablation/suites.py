"""Ablation suites as configs: a base experiment, modules that can be switched on or off, and rows that combine them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from ahs_seg.config import Config, ConfigError
from ahs_seg.configs import find_config, packaged_configs, packaged_suites
from ahs_seg.data.config import DataConfig
from ahs_seg.experiments.experiment import Experiment

PREFIX: Final = "ablation"
"""Prefix of the config names of rows: `ablation/ahs_seg/vitb/ha_hem`."""


class SuitePart(Config):
    """A module of a method: its title in tables, and the `key.sub=value` overrides that switch it on or off."""

    title: str
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


class SuiteRow(Config):
    """A row: the enabled parts (all others are disabled), further overrides, and a title (default: from the parts)."""

    parts: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    title: str | None = None


class Scale(Config):
    """A scale of backbone and data: a config, overrides for all rows, and the evaluation data.

    `test` is used only for reported results; `validation` is for model selection.
    """

    config: str
    set: tuple[str, ...] = ()
    test: DataConfig
    validation: DataConfig | None = None


class Suite(Config):
    """Definition of an ablation table: scales, switchable parts, rows and the baseline row.

    A difference to the row `baseline` smaller than `smallest` points at three seeds is never called resolved,
    independent of the intervals; the bound decreases with the square root of the number of seeds.
    """

    title: str
    baseline: str
    smallest: float = 2.0
    scales: dict[str, Scale] = Field(min_length=1)
    parts: dict[str, SuitePart] = Field(default={})
    rows: dict[str, SuiteRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Suite:
        if self.baseline not in self.rows:
            raise ValueError(f"baseline {self.baseline!r} is not a row; those are {', '.join(self.rows)}")
        for name, row in self.rows.items():
            if strange := [part for part in row.parts if part not in self.parts]:
                raise ValueError(f"row {name!r} has part {strange[0]!r}; known are {', '.join(self.parts)}")
        return self

    def row_title(self, name: str) -> str:
        """Title of a row in tables."""
        row = self.rows[name]
        return row.title or " + ".join(self.parts[part].title for part in row.parts) or name

    def overrides(self, scale: str, row: str) -> list[str]:
        """Overrides of a row for the config of a scale."""
        chosen = self.rows[row]
        switches = [change for name, part in self.parts.items() if name not in chosen.parts for change in part.disable]
        switches += [change for name in chosen.parts for change in self.parts[name].enable]
        return [*self.scales[scale].set, *switches, *chosen.set]

    def experiment(
        self, scale: str, row: str, overrides: Sequence[str] = (), *, custom: Sequence[type[Config]] = ()
    ) -> Experiment:
        """Build the experiment of a row with further overrides; `custom` is as for `Config.parse`."""
        path = find_config(self.scales[scale].config)
        return Experiment.read(path, overrides, preset=self.overrides(scale, row), custom=custom)

    def choose(self, kind: str, wanted: Sequence[str]) -> list[str]:
        """Sort the wanted names of `rows` or `scales` in the order of the suite.

        Raises:
            ConfigError: a name is unknown; the message lists the known ones.
        """
        known: dict[str, object] = getattr(self, kind)
        if strange := [name for name in wanted if name not in known]:
            raise ConfigError(f"{self.title}: no {kind[:-1]} {strange[0]!r}; there are {', '.join(known)}.")
        return [name for name in known if name in wanted]


def find_suite(name: Path | str, *, custom: Sequence[type[Config]] = ()) -> Suite:
    """Load a suite from a yaml file, or a packaged suite by name; `custom` is as for `Config.parse`.

    Raises:
        ConfigError: neither exists; the message lists the packaged names.
    """
    if Path(name).is_file():
        return Suite.read(name, custom=custom)
    known = packaged_suites()
    if str(name) not in known:
        raise ConfigError(f"{name}: no such file, nor a packaged suite; those are {', '.join(known)}.")
    return Suite.read(known[str(name)])


def find_experiment(name: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """Load an experiment: a yaml file, a packaged config by name, or an ablation row `ablation/SUITE/SCALE/ROW`.

    Raises:
        ConfigError: none of these exists; the message lists the known names.
    """
    parts = str(name).split("/")
    if parts[0] != PREFIX or Path(name).is_file():
        return Experiment.read(find_config(name), overrides)
    if len(parts) != len((PREFIX, "suite", "scale", "row")):
        raise ConfigError(
            f"{name}: a row of a table is called {PREFIX}/SUITE/SCALE/ROW; suites are {', '.join(packaged_suites())}, "
            f"and other configs {', '.join(packaged_configs())}."
        )
    suite = find_suite(parts[1])
    (scale,), (row,) = suite.choose("scales", parts[2:3]), suite.choose("rows", parts[3:])
    return suite.experiment(scale, row, overrides)
