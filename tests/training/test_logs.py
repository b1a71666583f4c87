import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ahs_seg.training.logs import CsvLog, RunLog
from tests.support.training import tiny_recipe


def test_rows_survive_and_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    log = CsvLog(path, step=0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 10})
    with path.open("a") as file:
        file.write("4,0.4\n5,0.")  # what a killed process leaves
    CsvLog(path, step=2).write(3, {"loss": 0.5})
    assert path.read_text().splitlines() == ["step,loss", "1,0.1", "2,0.2", "3,0.5"]
    assert [file.name for file in tmp_path.iterdir()] == ["train.csv"]


@pytest.mark.parametrize("rest", ["\n", "\n3", "\n3,0.", "\n3,0.3\n", "", "\n3,0.3\n4"])
def test_a_file_cut_anywhere_can_be_continued(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text("step,loss\n1,0.1\n2,0.2" + rest)
    log = CsvLog(path, step=2)
    log.write(3, {"loss": 0.3})
    rows = path.read_text().splitlines()
    assert rows[:2] == ["step,loss", "1,0.1"]
    assert rows[-1] == "3,0.3"
    assert ("2,0.2" in rows) is (rest != "")


def test_a_new_column_is_added(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "a.csv", step=0)
    log.write(1, {"loss": 1.0})
    log.write(2, {"other": 2.0, "loss": 3.0})
    log.write(3, {"other": 4.0})
    assert log.path.read_text().splitlines() == ["step,loss,other", "1,1.0,", "2,3.0,2.0", "3,,4.0"]


def test_files_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tiny_recipe(log_every=2)
    with RunLog(tmp_path, recipe, start=0, writing=True, progress=True) as log:
        for step in range(1, 9):
            log.step(step, {"loss": 1 / step, "lr": 0.5})
        log.evaluation(8, {"mIoU": 0.25})
    time.sleep(1 - time.time() % 1)  # TensorBoard reads the files of a run in the order of the seconds they began
    with RunLog(tmp_path, recipe, start=4, writing=True, progress=False) as log:
        log.step(6, {"loss": 7.0, "lr": 0.5})
    with RunLog(tmp_path / "other", recipe, start=0, writing=False, progress=True) as log:
        log.step(2, {"loss": 7.0, "lr": 0.5})
    assert not (tmp_path / "other").exists()
    rows = (tmp_path / "train.csv").read_text().splitlines()
    assert rows == ["step,loss,lr", "1,1.0,0.5", "2,0.5,0.5", "4,0.25,0.5", "6,7.0,0.5"]
    assert (tmp_path / "evaluation.csv").read_text().splitlines() == ["step,mIoU"]
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("train/loss")] == [(1, 1), (2, 0.5), (4, 0.25), (6, 7)]
    printed = capsys.readouterr().err
    assert "training 8/8: loss" in printed
    assert "steps/s, 0 s left" in printed
    assert "step 8: mIoU 0.25" in printed
