"""Ablation tables as data: a base experiment, parts that can be switched, and rows that choose among them."""

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
"""First part of the name of a row among configs: `ablation/ahs_seg/vitb/ha_hem`."""


class SuitePart(Config):
    """A module of a method: how tables call it, and the `key.sub=value` overrides that switch it in the base."""

    title: str
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


class SuiteRow(Config):
    """A row: the parts that are on (the others are off), then further overrides; the title follows from the parts."""

    parts: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    title: str | None = None


class Scale(Config):
    """A size of backbone and data: a config, changes to it for all rows, and the data that its rows are judged by.

    `test` is opened once, to report; `validation` is what choices are made by.
    """

    config: str
    set: tuple[str, ...] = ()
    test: DataConfig
    validation: DataConfig | None = None


class Suite(Config):
    """An ablation table.

    A difference to the row `baseline` that is smaller than `smallest` points with three seeds is never called resolved,
    whatever the intervals say; the bound shrinks with the root of the number of seeds.
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
        """What tables call a row."""
        row = self.rows[name]
        return row.title or " + ".join(self.parts[part].title for part in row.parts) or name

    def overrides(self, scale: str, row: str) -> list[str]:
        """What a row changes in the config of a scale."""
        chosen = self.rows[row]
        switches = [change for name, part in self.parts.items() if name not in chosen.parts for change in part.disable]
        switches += [change for name in chosen.parts for change in self.parts[name].enable]
        return [*self.scales[scale].set, *switches, *chosen.set]

    def experiment(
        self, scale: str, row: str, overrides: Sequence[str] = (), *, custom: Sequence[type[Config]] = ()
    ) -> Experiment:
        """The experiment of a row, after further overrides; `custom` as for `Config.parse`."""
        path, changes = find_config(self.scales[scale].config), [*self.overrides(scale, row), *overrides]
        return Experiment.read(path, changes, custom=custom)

    def choose(self, kind: str, wanted: Sequence[str]) -> list[str]:
        """These `rows` or `scales`, in the order of the suite.

        Raises:
            ConfigError: one does not exist; lists those there are.
        """
        known: dict[str, object] = getattr(self, kind)
        if strange := [name for name in wanted if name not in known]:
            raise ConfigError(f"{self.title}: no {kind[:-1]} {strange[0]!r}; there are {', '.join(known)}.")
        return [name for name in known if name in wanted]


def find_suite(name: Path | str) -> Suite:
    """The suite in this yaml file, or the packaged one of this name.

    Raises:
        ConfigError: neither exists; lists the packaged names.
    """
    if Path(name).is_file():
        return Suite.read(name)
    known = packaged_suites()
    if str(name) not in known:
        raise ConfigError(f"{name}: no such file, nor a packaged suite; those are {', '.join(known)}.")
    return Suite.read(known[str(name)])


def row_names() -> list[str]:
    """The names of all rows of all packaged suites at all scales, as `find_experiment` takes them."""
    suites = {name: find_suite(name) for name in packaged_suites()}
    return [
        f"{PREFIX}/{name}/{scale}/{row}"
        for name, suite in suites.items()
        for scale in suite.scales
        for row in suite.rows
    ]


def find_experiment(name: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment in a yaml file, a packaged one by its name, or a row `ablation/SUITE/SCALE/ROW` of a table.

    Raises:
        ConfigError: none of these; lists the names there are.
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
