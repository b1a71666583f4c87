import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ahs_seg.training.logs import RunLog
from tests.support.training import tiny_recipe


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
