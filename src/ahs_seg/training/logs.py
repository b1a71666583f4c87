"""Logs of a training run: CSV files, the loggers of the recipe and a progress bar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ahs_seg.io.progress import ProgressBar
from ahs_seg.training.loggers import CsvTable, LoggedRun, open_logger
from ahs_seg.training.recipe import LoggerName, Recipe

TRAIN: Final = "train"
STATISTICS: Final = "statistics"


def has_steps(directory: Path) -> bool:
    """Whether a run in a directory has finished a step; the first one is always logged."""
    path = directory / f"{TRAIN}.csv"
    return path.exists() and path.read_text(encoding="utf-8").count("\n") > 1


class Files:
    """Log files of a run: one CSV per kind of value, and what its loggers write.

    The file of statistics is created with the first value, since not every method has any.
    """

    def __init__(
        self, directory: Path, start: int, loggers: tuple[LoggerName, ...], settings: Mapping[str, Any]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._start = directory, start
        kinds = [TRAIN, "evaluation", *([STATISTICS] if (directory / f"{STATISTICS}.csv").exists() else [])]
        self._tables = {kind: self._table(kind) for kind in kinds}
        run = LoggedRun(directory, start, settings)
        self._loggers = [open_logger(name, run) for name in loggers]

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append the values of a step to the CSV of this kind, and give them to the loggers."""
        if kind not in self._tables:
            self._tables[kind] = self._table(kind)
        self._tables[kind].write(step, values)
        for logger in self._loggers:
            logger.log_metrics({f"{kind}/{name}": value for name, value in values.items()}, step)

    def sync(self) -> None:
        """Block until the CSV files are on disk."""
        for table in self._tables.values():
            table.sync()
        for logger in self._loggers:
            logger.save()

    def close(self, status: str) -> None:
        """Flush and close the files, and tell the loggers how the run has ended: "success", "failed" or "aborted"."""
        self.sync()
        for logger in self._loggers:
            logger.finalize(status)

    def _table(self, kind: str) -> CsvTable:
        return CsvTable(self._directory / f"{kind}.csv", step=self._start)


class RunLog:
    """Logs of a run in its directory: CSV files, the loggers `recipe.logger`, and the progress bar.

    `settings` are told to the loggers that show them. `train.csv` has losses and learning rates, `statistics.csv` other
    values that the objective monitors, `evaluation.csv` scores.
    """

    def __init__(
        self,
        directory: Path,
        recipe: Recipe,
        *,
        start: int,
        writing: bool,
        progress: bool,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._every = recipe.log_every
        self._bar = ProgressBar("training", unit="steps", shown=writing and progress)
        self._bar.start(recipe.steps)
        self._bar.skip(start)
        self._loss: float | None = None
        told = {**(settings or {}), "training": recipe.model_dump(mode="json")}
        self._files = Files(directory, start, recipe.logger, told) if writing else None

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Log a finished step: always on the progress bar, every `log_every` steps in the files."""
        loss = values["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._bar.update(step, f"loss {self._loss:.4f}, lr {values['lr']:.2e}")
        if self._files is not None and self.due(step):
            self._files.write(TRAIN, step, values)

    def due(self, step: int) -> bool:
        """Whether a step is written to the files; the same in every process."""
        return step % self._every == 0 or step == 1

    def statistics(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values that the objective monitors besides the losses, if any."""
        if self._files is not None and values:
            self._files.write(STATISTICS, step, values)

    def evaluation(self, step: int, scores: Mapping[str, float]) -> None:
        """Log and print the evaluation scores after a step."""
        if self._files is not None:
            self._files.write("evaluation", step, scores)
        self.say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))

    def say(self, text: str) -> None:
        """Print a line above the progress bar, if it is shown."""
        self._bar.say(text)

    def sync(self) -> None:
        """Block until everything logged so far is on disk."""
        if self._files is not None:
            self._files.sync()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._files is not None:
            stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
            self._files.close("success" if kind is None else "aborted" if stopped else "failed")
        self._bar.stop()
