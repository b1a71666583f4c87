"""Loggers of a training run in Fabric's interface: TensorBoard, one CSV table, Weights & Biases, MLflow.

None of them reaches a network unless its own environment variables say so: Weights & Biases records offline without
`WANDB_MODE`, MLflow writes `mlflow.db` of the run directory without `MLFLOW_TRACKING_URI`. A resumed run is continued
in each: the ids that the services gave it are kept in `loggers.json`.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lightning_fabric.loggers import Logger, TensorBoardLogger

from ahs_seg.documents import read_mapping
from ahs_seg.io.atomic import sync, write_text
from ahs_seg.io.extras import require_extra
from ahs_seg.training.recipe import LoggerName

logger = logging.getLogger(__name__)

PROJECT: Final = "ahs-seg"
"""Project of Weights & Biases and experiment of MLflow, unless their environment variables name another one."""
IDS: Final = "loggers.json"
_MLFLOW_BATCH: Final = 100
_MLFLOW_TEXT: Final = 500
"""Limits of MLflow: parameters in one call, and characters of a value that every server takes."""


def check_loggers(names: tuple[LoggerName, ...]) -> None:
    """Check that the packages of the loggers of a recipe are installed.

    Raises:
        MissingPackageError: one is not; the message names its extra.
    """
    for name in names:
        if name in ("wandb", "mlflow"):
            require_extra(name, f"training.logger={name}", otherwise="choose tensorboard or csv")


@dataclass(frozen=True)
class LoggedRun:
    """What loggers are told about a run: its directory, the steps it has done, and its settings as plain values."""

    directory: Path
    start: int
    settings: Mapping[str, Any]

    def known_id(self, name: str) -> str | None:
        """Id that a service gave this run when it was started; None: it is not known there yet."""
        path = self.directory / IDS
        return read_mapping(path).get(name) if self.start and path.exists() else None

    def keep_id(self, name: str, value: str) -> None:
        """Keep the id of this run at a service for the time when the run is resumed."""
        path = self.directory / IDS
        known = read_mapping(path) if path.exists() else {}
        write_text(path, json.dumps({**known, name: value}, indent=1) + "\n")


def open_logger(name: LoggerName, run: LoggedRun) -> Logger:
    """Logger of a run; one that resumes drops or repeats what was logged after `run.start`.

    Raises:
        MissingPackageError: its package is not installed.
    """
    check_loggers((name,))
    match name:
        case "tensorboard":
            return TensorBoardLogger(run.directory, name="tensorboard", version="", purge_step=run.start + 1)
        case "csv":
            return CsvLogger(run)
        case "wandb":
            return WandbLogger(run)
        case "mlflow":
            return MlflowLogger(run)


class CsvTable:
    """CSV file with one row per logged step; columns that appear later are added to the file.

    Opening it at step s removes rows of later steps and an incomplete last row, so that a resumed run writes no step
    twice.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        self._columns: list[str] = ["step"]
        self._rewrite([row for row in self._read() if int(row["step"]) <= step])

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a row; it survives a crash of this process at once, and a crash of the machine after `sync`."""
        row: dict[str, object] = {"step": step, **values}
        if new := [name for name in row if name not in self._columns]:
            rows = self._read()
            self._columns += new
            self._rewrite(rows)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def sync(self) -> None:
        """Block until all rows are on disk."""
        sync(self.path)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8")
        reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
        self._columns = list(reader.fieldnames or self._columns)
        return list(reader)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


class _RunLogger(Logger):  # type: ignore[misc]  # lightning is untyped here
    """Common part of the loggers of this module."""

    def __init__(self, run: LoggedRun) -> None:
        self._run = run

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._run.directory.resolve().name

    @property
    def version(self) -> str:
        """Empty: a directory holds one run."""
        return ""

    def log_hyperparams(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        """Nothing: the settings are given when the run is opened."""


class CsvLogger(_RunLogger):
    """Every value of the run in one table, `metrics.csv`, in the columns that the other loggers use as names.

    Fabric's own logger of that name starts its file anew when a run is resumed.
    """

    def __init__(self, run: LoggedRun) -> None:
        super().__init__(run)
        self._table = CsvTable(run.directory / "metrics.csv", step=run.start)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row."""
        self._table.write(step or 0, metrics)

    def save(self) -> None:
        """Block until all rows are on disk."""
        self._table.sync()


class WandbLogger(_RunLogger):
    """Run of Weights & Biases, offline unless `WANDB_MODE` says otherwise.

    Values are plotted over `step` and not over the calls: a step that a resumed run repeats lies on the former one.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        super().__init__(run)
        offline = "WANDB_MODE" not in os.environ
        known = run.known_id("wandb")
        self._wandb = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=self.name,
            dir=str(run.directory),
            id=known,
            resume=None if known is None else "allow",
            config=dict(run.settings),
            mode="offline" if offline else None,
        )
        run.keep_id("wandb", self._wandb.id)
        self._wandb.define_metric("*", step_metric="step")
        if offline:
            logger.info("wandb records offline in %s; `wandb sync` sends it, WANDB_MODE=online at once", run.directory)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the values of a step."""
        self._wandb.log({**metrics, "step": step})

    def finalize(self, status: str) -> None:
        """End the run; it is shown as failed unless `status` is "success"."""
        self._wandb.finish(exit_code=0 if status == "success" else 1)


class MlflowLogger(_RunLogger):
    """Run of MLflow, in `mlflow.db` of the run directory unless `MLFLOW_TRACKING_URI` names a server or a folder.

    A server that cannot be reached costs values, which are in the CSV files as well, and not the training.
    """

    def __init__(self, run: LoggedRun) -> None:
        import mlflow

        super().__init__(run)
        uri = None if "MLFLOW_TRACKING_URI" in os.environ else f"sqlite:///{(run.directory / 'mlflow.db').resolve()}"
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._failed = False
        known = run.known_id("mlflow")
        if known is not None:
            self._id = known
            self._client.update_run(known, status="RUNNING")
            return
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(title)
        number = self._client.create_experiment(title) if experiment is None else experiment.experiment_id
        self._id = self._client.create_run(number, run_name=self.name).info.run_id
        run.keep_id("mlflow", self._id)
        params = [mlflow.entities.Param(key, text[:_MLFLOW_TEXT]) for key, text in _flat(run.settings)]
        for first in range(0, len(params), _MLFLOW_BATCH):
            self._client.log_batch(self._id, params=params[first : first + _MLFLOW_BATCH])

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the values of a step."""
        now = round(1000 * time.time())
        values = [self._mlflow.entities.Metric(key, value, now, step or 0) for key, value in metrics.items()]
        try:
            self._client.log_batch(self._id, metrics=values)
        except self._mlflow.MlflowException as error:
            if not self._failed:
                logger.warning("MLflow does not take values (%s); they are in the CSV files of the run", error)
            self._failed = True

    def finalize(self, status: str) -> None:
        """End the run, as finished if `status` is "success", else as failed."""
        try:
            self._client.set_terminated(self._id, "FINISHED" if status == "success" else "FAILED")
        except self._mlflow.MlflowException as error:
            logger.warning("MLflow was not told that the run has ended: %s", error)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as pairs of a dotted key and a text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
