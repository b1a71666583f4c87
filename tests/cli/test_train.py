"""Training from the command line."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ahs_seg.cli import main
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.training.logs import RunLog
from tests.support.command_line import fails, output_of

pytestmark = pytest.mark.xdist_group("commands")  # what its fixture trains is trained once


def test_train_leaves_everything_a_reader_needs(trained: Path) -> None:
    for name in ("config.yaml", "train.csv", "evaluation.json", "model/config.json", "model/model.safetensors"):
        assert (trained / name).is_file(), name
    report = json.loads((trained / "evaluation.json").read_text())
    assert report["images"] == 3
    assert 0 <= report["scores"]["miou"] <= 1
    assert report["protocol"] == "whole image"
    description = json.loads((trained / "model" / "config.json").read_text())
    assert len(description["trained_on"]) == 20


def test_a_finished_run_is_not_overwritten_but_resumed(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", str(trained / "config.yaml"), "-o", str(trained)]
    assert "already holds" in fails(capsys, monkeypatch, *arguments)
    assert "trained 6 steps" in output_of(*arguments, "--resume")


@pytest.mark.slow
def test_an_estimate_trains_nothing(trained: Path, tmp_path: Path) -> None:
    told = output_of("train", trained / "config.yaml", "-o", tmp_path / "none", "--estimate")
    assert "largest batch that fits" in told
    assert "activations recomputed" in told
    assert not (tmp_path / "none").exists()


def test_a_run_does_not_replace_the_config_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# my notes\n")
    with pytest.raises(OverwriteError, match=r"config\.yaml: is the input"):
        output_of("train", tmp_path / "config.yaml", "-o", f"{tmp_path}/.")
    assert (tmp_path / "config.yaml").read_text() == "# my notes\n"


def test_an_interrupted_run_goes_on_bit_for_bit(
    trained: Path,
    tmp_path: Path,
    ctrl_c: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = RunLog.step

    def step(self: RunLog, number: int, values: Mapping[str, float]) -> None:
        real(self, number, values)
        if number == 2:
            ctrl_c()

    words = ["train", str(trained / "config.yaml"), "-o", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "step", step)
        patch.setattr("sys.argv", ["ahs-seg", *words])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 130
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("interrupted")]
    assert "after step 2 of 6; a checkpoint is in" in message
    assert "step-00000002" in message
    assert "--resume" in message
    assert "resuming after step 2" in output_of(*words, "--resume")
    one, other = (load_file(root / "model/model.safetensors") for root in (trained, tmp_path / "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)
