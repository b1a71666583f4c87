"""What a run tells: rows in CSV files, TensorBoard, and a progress bar."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from lightning.fabric.loggers import TensorBoardLogger

from ahs_seg.io.atomic import sync, write_text
from ahs_seg.io.progress import ProgressBar
from ahs_seg.training.recipe import Recipe

STATISTICS: Final = "statistics"


class CsvLog:
    """A CSV file with one row per logged step; a column that appears later is added to the file.

    Opening it for step s drops rows of later steps and a last row cut short, so that a continued run repeats none.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        self._columns: list[str] = ["step"]
        self._rewrite([row for row in self._read() if int(row["step"]) <= step])

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a row; it survives the death of this process at once, that of the machine after `sync`."""
        row: dict[str, object] = {"step": step, **values}
        if new := [name for name in row if name not in self._columns]:
            rows = self._read()
            self._columns += new
            self._rewrite(rows)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def sync(self) -> None:
        """Wait until all rows are on disk."""
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
    """The files of a run: one CSV per kind of figure, and TensorBoard's.

    Not every method has statistics to tell; their file is made when there is the first.
    """

    def __init__(self, directory: Path, start: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._start = directory, start
        kinds = ["train", "evaluation", *([STATISTICS] if (directory / f"{STATISTICS}.csv").exists() else [])]
        self._tables = {kind: self._table(kind) for kind in kinds}
        self._board = TensorBoardLogger(directory, name="tensorboard", version="", purge_step=start + 1)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Add the figures of a step."""
        if kind not in self._tables:
            self._tables[kind] = self._table(kind)
        self._tables[kind].write(step, values)
        self._board.log_metrics({f"{kind}/{name}": value for name, value in values.items()}, step)

    def sync(self) -> None:
        """Wait until the tables are on disk."""
        for table in self._tables.values():
            table.sync()

    def close(self) -> None:
        """Finish the files."""
        self.sync()
        self._board.finalize("success")

    def _table(self, kind: str) -> CsvLog:
        return CsvLog(self._directory / f"{kind}.csv", step=self._start)


class RunLog:
    """The logs of a run below its directory: CSV files, `tensorboard/`, and the progress bar.

    `train.csv` has losses and rates, `statistics.csv` what the objective watches besides, `evaluation.csv` scores.
    """

    def __init__(self, directory: Path, recipe: Recipe, *, start: int, writing: bool, progress: bool) -> None:
        self._every = recipe.log_every
        self._bar = ProgressBar("training", unit="steps", shown=writing and progress)
        self._bar.start(recipe.steps)
        self._bar.skip(start)
        self._loss: float | None = None
        self._files = Files(directory, start) if writing else None

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Tell of a finished step: on the progress bar always, in the files when its turn has come."""
        loss = values["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._bar.update(step, f"loss {self._loss:.4f}, lr {values['lr']:.2e}")
        if self._files is not None and self.due(step):
            self._files.write("train", step, values)

    def due(self, step: int) -> bool:
        """Whether the files tell of a step; the same in every process."""
        return step % self._every == 0 or step == 1

    def statistics(self, step: int, values: Mapping[str, float]) -> None:
        """Tell what is watched besides the losses, if anything is."""
        if self._files is not None and values:
            self._files.write(STATISTICS, step, values)

    def evaluation(self, step: int, scores: Mapping[str, float]) -> None:
        """Tell the scores after a step."""
        if self._files is not None:
            self._files.write("evaluation", step, scores)
        self.say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))

    def say(self, text: str) -> None:
        """Print a line, unless progress was not wanted."""
        self._bar.say(text)

    def sync(self) -> None:
        """Wait until everything told so far is on disk."""
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
