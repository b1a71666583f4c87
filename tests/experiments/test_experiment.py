"""A whole experiment in one file: what it adds to a training, and what it hands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.config import FolderData, WorldData
from ahs_seg.data.folder import FolderError
from ahs_seg.experiments.experiment import Experiment, run_experiment
from ahs_seg.experiments.train import ExperimentResult, TrainingConfig, Validation
from ahs_seg.training.loop import TrainResult
from tests.support.label_folders import discs, label_folder

SMALL = Experiment.read(find_config("quickstart/cat_seg"), ["data.count=3"])
ASKED: list[tuple[TrainingConfig, SegmentationDataset, Validation | None, Path, dict[str, Any]]] = []


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ExperimentResult:
    """The end of every training, which takes no time; what it was given is kept in `ASKED`."""
    ASKED.clear()
    end = ExperimentResult(tmp_path / "model", TrainResult(1, {}, None, None, 0.0), None, 0.0)

    def train_on(
        config: TrainingConfig,
        dataset: SegmentationDataset,
        validation: Validation | None,
        directory: Path,
        **rest: Any,
    ) -> ExperimentResult:
        ASKED.append((config, dataset, validation, directory, rest))
        return end

    monkeypatch.setattr("ahs_seg.experiments.experiment.train_on", train_on)
    return end


def test_the_data_is_all_that_an_experiment_adds() -> None:
    assert set(Experiment.model_fields) - set(TrainingConfig.model_fields) == {"data", "validation"}


def test_an_experiment_without_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data: Field required"):
        Experiment.parse({"method": {"name": "cat_seg"}})


def test_the_data_is_opened_and_named_for_the_training(result: ExperimentResult, tmp_path: Path) -> None:
    held_out = WorldData(scenes="validation", count=2, names=20)
    experiment = SMALL.replace(validation=held_out)
    assert run_experiment(experiment, tmp_path, resume=True, progress=False) is result
    ((config, dataset, validation, directory, rest),) = ASKED
    assert (config, directory, rest) == (experiment, tmp_path, {"resume": True, "progress": False, "callbacks": ()})
    assert len(dataset) == 3
    assert dataset.vocabulary.labels == SMALL.data.open().vocabulary.labels
    assert validation is not None
    assert (validation.title, len(validation.dataset)) == ("world-20 (validation, 2 scenes)", 2)


@pytest.mark.usefixtures("result")
def test_without_validation_nothing_is_evaluated(tmp_path: Path) -> None:
    run_experiment(SMALL.replace(validation=None), tmp_path)
    assert ASKED[0][2] is None


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize("key", ["data", "validation"])
def test_data_that_is_not_as_it_should_be_is_told_before_anything_is_trained(key: str, tmp_path: Path) -> None:
    experiment = SMALL.replace(**{key: FolderData(root=tmp_path / "nowhere")})
    with pytest.raises(FolderError, match="nowhere"):
        run_experiment(experiment, tmp_path / "run")
    assert ASKED == []
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize("key", ["data", "validation"])
def test_every_file_of_a_folder_is_read_before_anything_is_trained(key: str, tmp_path: Path) -> None:
    label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    (tmp_path / "images/train/001.png").write_bytes(b"junk")
    experiment = SMALL.replace(**{key: FolderData(root=tmp_path, split="train")})
    with pytest.raises(FolderError, match=r"(?s)1 fault in 2 images.*001\.png"):
        run_experiment(experiment, tmp_path / "run")
    assert ASKED == []
