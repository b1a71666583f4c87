"""A run is continued only as what it is."""

from pathlib import Path

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training import checkpoint
from ahs_seg.training.checkpoint import TrainingCheckpointError
from ahs_seg.training.loop import fit
from ahs_seg.training.run import CHECKPOINTS
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.training import TinyDataset, TinyMethod, tiny_recipe


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    recipe = tiny_recipe(steps=4, checkpoint_every=2)
    fit(recipe, TinyMethod(), TinyDataset(), tmp_path, objective=SegmentationObjective(), progress=False)
    return tmp_path


def resume(directory: Path, recipe=None, method=None, dataset=None, *, resume: bool = True) -> None:
    recipe = recipe or tiny_recipe(steps=4, checkpoint_every=2)
    method, dataset = method or TinyMethod(), dataset or TinyDataset()
    fit(recipe, method, dataset, directory, objective=SegmentationObjective(), resume=resume)


def test_a_directory_with_a_run_is_not_overwritten(directory: Path) -> None:
    with pytest.raises(ConfigError, match=r"already holds 2 checkpoint.* the newest step-00000004\. Resume"):
        resume(directory, resume=False)


def test_another_recipe(directory: Path) -> None:
    with pytest.raises(ConfigError, match="steps: was 4, now 8"):
        resume(directory, tiny_recipe(steps=8, checkpoint_every=2))


@pytest.mark.parametrize(
    "dataset",
    [
        TinyDataset(length=11),
        TinyDataset(vocabulary=Vocabulary.parse(["red", "green", "blue", "grey", "black", "pink"])),
    ],
)
def test_other_data(directory: Path, dataset: TinyDataset) -> None:
    with pytest.raises(ConfigError, match="was trained on 10 images with 6 classes; this dataset has 1"):
        resume(directory, dataset=dataset)


def test_another_backbone(directory: Path) -> None:
    with pytest.raises(ConfigError, match="on top of other frozen weights"):
        resume(directory, method=TinyMethod(seed=1))


def test_another_method(directory: Path) -> None:
    method = TinyMethod()
    method.extra = method.offset
    del method.offset
    with pytest.raises(
        TrainingCheckpointError,
        match=r"another method or tuner: 2 weights differ, e\.g\. 'method.extra' is only in the",
    ):
        resume(directory, method=method)


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = checkpoint.last(directory / CHECKPOINTS)
    assert newest is not None
    expected = checkpoint.read(newest).tensors
    (newest / "tensors.safetensors").write_bytes(b"\0" * 100)
    resume(directory)
    printed = capsys.readouterr().err.replace("\n", "")
    assert "skipped a damaged checkpoint" in printed
    assert "resuming after step 2" in printed
    found = checkpoint.read(newest).tensors
    assert all((found[key] == value).all() for key, value in expected.items())


def test_without_a_checkpoint_resuming_is_beginning(tmp_path: Path) -> None:
    resume(tmp_path)
    assert checkpoint.last(tmp_path / CHECKPOINTS).name == "step-00000004"
