"""What a run tells: rows in CSV files, TensorBoard, and a progress bar."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from lightning.fabric.loggers import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ahs_seg.io.progress import QUIET_SECONDS
from ahs_seg.training.checkpoint import sync
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
        draft = self.path.with_name(f".unfinished-{self.path.name}")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        sync(draft)
        draft.replace(self.path)


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
        self._bar = ProgressBar(start, recipe.steps) if writing and progress else None
        self._files = Files(directory, start) if writing else None

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Tell of a finished step: on the progress bar always, in the files when its turn has come."""
        if self._bar is not None:
            self._bar.advance(step, values["loss"], values["lr"])
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
        if self._bar is not None:
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
        if self._bar is not None:
            self._bar.stop()


class ProgressBar:
    """Steps, loss, steps per second and time left; plain lines now and then where the output is not a terminal."""

    def __init__(self, start: int, steps: int) -> None:
        self._console = Console(stderr=True)
        self._steps = steps
        self._start = start
        self._began = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=steps, completed=start, note="")
        self._bar.start()
        self._smooth: float | None = None

    def advance(self, step: int, loss: float, lr: float) -> None:
        """Show that `step` steps are done."""
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        now = time.monotonic()
        rate = (step - self._start) / max(now - self._began, 1e-9)
        note = f"loss {self._smooth:.4f}, lr {lr:.2e}, {rate:.2f} steps/s"
        self._bar.update(self._task, completed=step, note=note)
        if self._bar.disable and (now - self._said > QUIET_SECONDS or step == self._steps):
            self._said = now
            left = (self._steps - step) / rate
            self.say(f"step {step}/{self._steps}: {note}, {left:.0f} s left")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()
