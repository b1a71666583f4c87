"""One run of an ablation table: an experiment with its seed, in a directory named by a digest of its settings.

config.yaml train.csv report.html model/ ...   output of training
started.yaml                                   the requested experiment
run.json                                       seed, cost, provenance: written when training is done
evaluations/<data>.json, <data>/               scores; settings of the data, and the counts of every image

Rows with identical experiments share a directory and are run once, also across suites.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from torch import nn

from ahs_seg.checkpoints import load_model, read_description
from ahs_seg.config import Config
from ahs_seg.data.config import DataConfig
from ahs_seg.data.dataset_config import dataset_settings
from ahs_seg.documents import read_mapping
from ahs_seg.evaluation import EvaluationReport
from ahs_seg.evaluation.journal import journal_folder
from ahs_seg.evaluation.protocols import OWN, own_protocol
from ahs_seg.experiments.ablation.counts import RunCounts, read_counts
from ahs_seg.experiments.experiment import Experiment, run_experiment
from ahs_seg.experiments.suite import EvaluationJob, evaluate_model
from ahs_seg.experiments.suite.run import slug
from ahs_seg.io.atomic import write_text
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.io.provenance import Provenance, provenance
from ahs_seg.methods import BaseMethodConfig
from ahs_seg.training.recipe import RESUMABLE_KEYS, Recipe
from ahs_seg.training.run import MODEL
from ahs_seg.tuners import TunerConfig

STARTED: Final = "started.yaml"
FACTS: Final = "run.json"
EVALUATIONS: Final = "evaluations"
DATA: Final = "data.json"
LOG: Final = "train.csv"
_DIGITS: Final = 12
_CHOOSING: Final = frozenset({"evaluate_every", "checkpoint_every", "best_metric"})
"""Keys that may differ when a run is resumed, but decide which checkpoint becomes the model."""


class RunFacts(Config):
    """Cost of a finished training: computing time in seconds, numbers of all and of trained parameters."""

    seed: int
    seconds: float
    parameters: int
    trained: int
    provenance: Provenance


@dataclass(frozen=True)
class RunResult:
    """A finished run with its evaluation on one dataset."""

    directory: Path
    evaluation: Path
    facts: RunFacts
    report: EvaluationReport

    def counts(self) -> RunCounts:
        """Read the pixel counts of every image from the evaluation journal."""
        return read_counts(journal_folder(self.evaluation, OWN), self.report)

    @property
    def complete(self) -> bool:
        """Whether every image was evaluated; those that failed are tried again."""
        return not self.report.failures


def run_name(experiment: Experiment) -> str:
    """Directory name of a run: method, seed and a digest of all settings that determine its result.

    Values of `None` and the default of `keep_best` are left out, so that names do not change when configs get new
    optional keys.
    """
    values = experiment.model_dump(mode="json", exclude_none=True)
    recipe = experiment.training
    kept = _CHOOSING if recipe.keep_best == Recipe().keep_best else _CHOOSING | {"keep_best"}
    left_out = RESUMABLE_KEYS - kept
    values["training"] = {key: value for key, value in values["training"].items() if key not in left_out}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return f"{experiment.method.name}-seed{experiment.training.seed}-{digest}"


def execute(
    experiment: Experiment, data: DataConfig, directory: Path, *, custom: Sequence[type[Config]] = ()
) -> RunResult:
    """Train and evaluate an experiment, resuming earlier attempts; waits if another process works on the same run.

    Images whose evaluation failed in an earlier attempt are tried again.

    `custom` are config classes of the caller that the experiment may contain.
    """
    methods = [one for one in custom if issubclass(one, BaseMethodConfig)]
    tuners = [one for one in custom if issubclass(one, TunerConfig)]
    (directory / FOLDER).mkdir(parents=True, exist_ok=True)
    with FileLock(directory / FOLDER / "waiting"):
        if not (directory / FACTS).exists():
            write_text(directory / STARTED, experiment.to_yaml())
            run_experiment(experiment, directory, resume=True)
            _write_facts(experiment, load_model(directory / MODEL, methods=methods, tuners=tuners)[1], directory)
        if (found := read_result(directory, data)) is not None and found.complete:
            return found
        description = read_description(directory / MODEL, methods=methods, tuners=tuners)
        protocol = own_protocol(description.inference, description.prompts)
        journal = _evaluation(directory, data)
        write_text(journal / DATA, json.dumps(dataset_settings(data), indent=1) + "\n")
        (report,) = evaluate_model(
            EvaluationJob(model=directory / MODEL, data=data, protocols=(protocol,), journal=journal),
            methods=methods,
            tuners=tuners,
        )
        report.save(_report_path(journal))
    found = read_result(directory, data)
    assert found is not None
    return found


def read_result(directory: Path, data: DataConfig) -> RunResult | None:
    """Read the result of a run on a dataset, which may lack images that failed; `None` if there is none yet."""
    facts, evaluation = directory / FACTS, _evaluation(directory, data)
    path = _report_path(evaluation)
    if not facts.exists() or not path.exists():
        return None
    parsed = RunFacts.parse(read_mapping(facts), source=str(facts))
    return RunResult(directory, evaluation, parsed, EvaluationReport.load(path))


def steps_done(directory: Path) -> int:
    """Last step in the log of a run; 0 if there is none."""
    rows = _log(directory)
    return int(rows[-1]["step"]) if rows else 0


def loss_curves(directory: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Read the steps and values of every loss in the log of a run, by name."""
    rows = _log(directory)
    names = [name for name in (rows[0] if rows else {}) if name == "loss" or name.startswith("loss_")]
    return {
        name: ([int(row["step"]) for row in rows if row[name]], [float(row[name]) for row in rows if row[name]])
        for name in names
    }


def _write_facts(experiment: Experiment, method: nn.Module, directory: Path) -> None:
    step_seconds = [float(row["seconds"]) for row in _log(directory)]
    facts = RunFacts(
        seed=experiment.training.seed,
        seconds=float(np.mean(step_seconds)) * experiment.training.steps,
        parameters=sum(value.numel() for value in method.parameters()),
        trained=sum(value.numel() for value in method.parameters() if value.requires_grad),
        provenance=provenance(),
    )
    write_text(directory / FACTS, json.dumps(facts.model_dump(mode="json"), indent=1) + "\n")


def _log(directory: Path) -> list[dict[str, str]]:
    path = directory / LOG
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def _evaluation(directory: Path, data: DataConfig) -> Path:
    """Folder of an evaluation, called like its data; with a digest if that of other data has the name.

    Evaluations of earlier versions lack the settings of their data, and are found by the name.
    """
    folder, settings = directory / EVALUATIONS / slug(data.title), dataset_settings(data)
    if not (folder / DATA).exists() or read_mapping(folder / DATA) == settings:
        return folder
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return folder.with_name(f"{folder.name}-{digest}")


def _report_path(evaluation: Path) -> Path:
    return evaluation.with_name(f"{evaluation.name}.json")
