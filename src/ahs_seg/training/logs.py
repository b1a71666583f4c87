"""Logs of a training run: CSV files, TensorBoard and a progress bar."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from lightning_fabric.loggers import TensorBoardLogger

from ahs_seg.io.atomic import sync, write_text
from ahs_seg.io.progress import ProgressBar
from ahs_seg.training.recipe import Recipe

STATISTICS: Final = "statistics"


class CsvLog:
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


class Files:
    """Log files of a run: one CSV per kind of value, and TensorBoard event files.

    The file of statistics is created with the first value, since not every method has any.
    """

    def __init__(self, directory: Path, start: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._start = directory, start
        kinds = ["train", "evaluation", *([STATISTICS] if (directory / f"{STATISTICS}.csv").exists() else [])]
        self._tables = {kind: self._table(kind) for kind in kinds}
        self._board = TensorBoardLogger(directory, name="tensorboard", version="", purge_step=start + 1)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append the values of a step to the CSV of this kind and to TensorBoard."""
        if kind not in self._tables:
            self._tables[kind] = self._table(kind)
        self._tables[kind].write(step, values)
        self._board.log_metrics({f"{kind}/{name}": value for name, value in values.items()}, step)

    def sync(self) -> None:
        """Block until the CSV files are on disk."""
        for table in self._tables.values():
            table.sync()

    def close(self) -> None:
        """Flush and close the files."""
        self.sync()
        self._board.finalize("success")

    def _table(self, kind: str) -> CsvLog:
        return CsvLog(self._directory / f"{kind}.csv", step=self._start)


class RunLog:
    """Logs of a run in its directory: CSV files, `tensorboard/`, and the progress bar.

    `train.csv` has losses and learning rates, `statistics.csv` other values that the objective monitors,
    `evaluation.csv` scores.
    """

    def __init__(self, directory: Path, recipe: Recipe, *, start: int, writing: bool, progress: bool) -> None:
        self._every = recipe.log_every
        self._bar = ProgressBar("training", unit="steps", shown=writing and progress)
        self._bar.start(recipe.steps)
        self._bar.skip(start)
        self._loss: float | None = None
        self._files = Files(directory, start) if writing else None

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Log a finished step: always on the progress bar, every `log_every` steps in the files."""
        loss = values["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._bar.update(step, f"loss {self._loss:.4f}, lr {values['lr']:.2e}")
        if self._files is not None and self.due(step):
            self._files.write("train", step, values)

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
            self._files.close()
        self._bar.stop()
