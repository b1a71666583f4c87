"""Running an ablation table: its runs, their comparison, and the output files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ahs_seg.config import Config, ConfigError
from ahs_seg.data.config import DataConfig, DatasetConfig
from ahs_seg.experiments.ablation.pages import write_table
from ahs_seg.experiments.ablation.runs import RunResult, read_result, run_name
from ahs_seg.experiments.ablation.suites import Suite, find_suite
from ahs_seg.experiments.ablation.table import Table, build_table
from ahs_seg.experiments.ablation.worker import RunJob, import_names
from ahs_seg.experiments.ablation.workers import RunFailure, Spec, run_all
from ahs_seg.io.processes import check_processes
from ahs_seg.methods import BaseMethodConfig
from ahs_seg.tuners import TunerConfig

RUNS: Final = "runs"
Judged = Literal["test", "validation"]


@dataclass(frozen=True)
class AblationOptions:
    """Rows, seeds, scale and overrides of a suite to run; empty `rows` means all, the baseline is always included.

    `judged` is the data for evaluation: "test" for reported results, "validation" for model selection.
    """

    suite: str
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    scale: str | None = None
    judged: Judged = "test"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class AblationResult:
    """The table (`None` without a finished run of the baseline), the failed runs, and the output folder."""

    table: Table | None
    failures: list[RunFailure]
    folder: Path


def run_ablation(
    choice: AblationOptions,
    output: Path,
    *,
    jobs: int = 1,
    train: bool = True,
    progress: bool = True,
    methods: Sequence[type[BaseMethodConfig]] = (),
    tuners: Sequence[type[TunerConfig]] = (),
    datasets: Sequence[type[DatasetConfig]] = (),
) -> AblationResult:
    """Execute the unfinished runs of a table, `jobs` in parallel, and write the table of all finished runs.

    Runs are stored in `output/runs` and shared between suites, the table in `output/SUITE`. With `train=False` only the
    table is written. A failed run is reported and missing in the table; images that a run could not evaluate are left
    out of all rows, reported, and tried again by the next call. `methods`, `tuners` and `datasets` are config
    classes of your own that the suite and its experiments may name; they must be importable in other processes.

    Raises:
        ConfigError: the suite, a row or the scale is unknown, or an experiment is invalid; checked before any run.
        FolderError, CatalogError: the evaluation data is not there; checked before any run.
    """
    custom = (*methods, *tuners, *datasets)
    suite = find_suite(choice.suite, custom=custom)
    check_processes(jobs, "jobs")
    if not choice.seeds:
        raise ConfigError("no seeds; give at least one.")
    scale = choice.scale or next(iter(suite.scales))
    suite.choose("scales", [scale])
    rows = suite.choose("rows", [suite.baseline, *(choice.rows or suite.rows)])
    data = _data(suite, scale, choice.judged)
    specs = {
        (row, seed): _spec(suite, scale, row, seed, data, choice, output, custom)
        for row in rows
        for seed in choice.seeds
    }
    failures = _run(list(specs.values()), data, jobs, import_names(custom), progress=progress) if train else []
    found: dict[str, dict[int, RunResult]] = {row: {} for row in rows}
    for (row, seed), spec in specs.items():
        if (result := read_result(spec.directory, data)) is not None:
            found[row][seed] = result
    folder = output / _folder(suite, scale, choice)
    if not found[suite.baseline]:
        return AblationResult(None, failures, folder)
    table = build_table(
        suite,
        found,
        scale=scale,
        data=data.title,
        overrides=choice.overrides,
        failures=[str(failure) for failure in failures],
        seeds=choice.seeds,
    )
    write_table(table, found, folder)
    return AblationResult(table, failures, folder)


def _run(
    specs: Sequence[Spec], data: DataConfig, jobs: int, custom: Sequence[str], *, progress: bool
) -> list[RunFailure]:
    """Execute the runs without a complete result; rows with identical experiments are run once."""
    once = {spec.directory: spec for spec in specs}
    found = {directory: read_result(directory, data) for directory in once}
    left = [spec for directory, spec in once.items() if (result := found[directory]) is None or not result.complete]
    if not left:
        return []
    data.open()  # what is not there ends the table now, not after the first training
    return run_all(left, jobs, custom=custom, progress=progress)


def _spec(
    suite: Suite,
    scale: str,
    row: str,
    seed: int,
    data: DataConfig,
    choice: AblationOptions,
    output: Path,
    custom: Sequence[type[Config]],
) -> Spec:
    experiment = suite.experiment(scale, row, [*choice.overrides, f"training.seed={seed}"], custom=custom)
    recipe = experiment.training
    if recipe.devices not in (1, "auto") or recipe.num_nodes != 1:
        raise ConfigError(
            f"{row}: training.devices is {recipe.devices}, num_nodes {recipe.num_nodes}; a run of a table has one "
            "device, and --jobs gives several runs one each. Train the row alone with `ahs-seg train` for more."
        )
    directory = output / RUNS / run_name(experiment)
    return Spec(f"{suite.row_title(row)}, seed {seed}", directory, RunJob(experiment=experiment, data=data))


def _data(suite: Suite, scale: str, judged: Judged) -> DataConfig:
    found = suite.scales[scale]
    data = found.test if judged == "test" else found.validation
    if data is None:
        raise ConfigError(f"{suite.title}: scale {scale!r} has no {judged} data; add it to the suite.")
    return data


def _folder(suite: Suite, scale: str, choice: AblationOptions) -> str:
    parts = [Path(choice.suite).stem]
    if scale != next(iter(suite.scales)):
        parts.append(scale)
    if choice.judged != "test":
        parts.append(choice.judged)
    return "-".join(parts)
