"""The models on this machine, and the one in a run directory."""

import shutil
from pathlib import Path

import pytest

from ahs_seg.checkpoints import CheckpointError, ModelDescription, save_model
from ahs_seg.checkpoints.local import local_models, model_directory
from ahs_seg.output.familiarity import TrainingImages
from tests.support.builders import random_backbone
from tests.support.locked import lock
from tests.support.small_methods import CAT_SEG


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = TrainingImages(kind="photographs", data="streets")
    description = ModelDescription(method=CAT_SEG, trained_on=("sky", "car"), training=training)
    return save_model(CAT_SEG.compose(random_backbone()), description, tmp_path_factory.mktemp("a") / "model")


def test_a_quickstart_with_one_run_is_its_model(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "quickstart/run-cat_seg-seed0/model")
    assert model_directory(tmp_path / "quickstart") == tmp_path / "quickstart/run-cat_seg-seed0/model"
    assert model_directory(model) == model
    assert model_directory(tmp_path / "nothing") == tmp_path / "nothing"


def test_a_folder_of_several_runs_names_them(model: Path, tmp_path: Path) -> None:
    for name in ("s1", "s2"):
        shutil.copytree(model, tmp_path / name / "model")
    with pytest.raises(CheckpointError, match=r"has 2 models: \S+/s1/model, \S+/s2/model\. Give one of them\."):
        model_directory(tmp_path)


def test_what_is_here_is_listed_with_what_it_says_of_itself(
    model: Path, offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local_models(tmp_path) == []
    for place in (offline / "ahs-seg/models/cat-seg-vitb", tmp_path / "runs/s3/model", tmp_path / "models/mine"):
        shutil.copytree(model, place)
    (tmp_path / "runs/old").mkdir()
    (offline / "ahs-seg/models/.draft").mkdir()
    monkeypatch.chdir(tmp_path)
    found = local_models()
    assert [one.name for one in found] == ["cat-seg-vitb", "runs/s3/model", "models/mine"]
    entry = found[1].to_dict()
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6
    assert entry == {
        "name": "runs/s3/model",
        "directory": "runs/s3/model",
        "megabytes": round(size, 1),
        "method": "cat_seg",
        "backbone": CAT_SEG.backbone.source,
        "knows": "photographs",
        "trained_on": "streets",
        "classes_in_training": 2,
        "fault": None,
    }


def test_a_damaged_model_is_listed_with_its_fault(model: Path, tmp_path: Path, offline: Path) -> None:
    place = tmp_path / "runs/s3/model"
    shutil.copytree(model, place)
    (place / "config.json").write_text('{"model_type": "ahs_seg", "format": 7}')
    [entry] = local_models(tmp_path)
    assert entry.description is None
    assert entry.fault is not None
    assert "format" in entry.fault


def test_files_that_cannot_be_reached_do_not_count(
    model: Path, offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, offline / "ahs-seg/models/mine")
    lock(offline / "ahs-seg/models/mine/backbone", monkeypatch)
    (found,) = local_models(tmp_path)
    assert found.megabytes == sum((model / name).stat().st_size for name in ("config.json", "model.safetensors")) / 1e6
