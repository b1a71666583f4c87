"""A run is continued only as what it is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from lightning_fabric import Fabric

from ahs_seg.config import ConfigError
from ahs_seg.experiments.train import TrainingConfig
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.io.journal import as_read, changes
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training import checkpoint
from ahs_seg.training.checkpoint import TrainingCheckpointError
from ahs_seg.training.logs import RunLog
from ahs_seg.training.loop import fit
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import _FREE, CHECKPOINTS, claim
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.forks import forked
from tests.support.training import TinyDataset, TinyMethod, tiny_recipe


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    recipe = tiny_recipe(steps=4, checkpoint_every=2)
    fit(recipe, TinyMethod(), TinyDataset(), tmp_path, objective=SegmentationObjective(), progress=False)
    return tmp_path


def claimed(directory: Path, recipe: Recipe, fabric: Fabric | None = None, *, resume: bool = False) -> None:
    """Claim a directory for a run that does nothing."""
    with claim(directory, recipe, fabric or Processes(), resume=resume):
        pass


@pytest.mark.parametrize("mark", ["config.yaml", "model"])
def test_a_directory_is_that_of_one_run(tmp_path: Path, mark: str) -> None:
    claimed(tmp_path / "new", tiny_recipe(steps=4))
    assert Recipe.read(tmp_path / "new" / "config.yaml").steps == 4
    (tmp_path / "old" / mark).mkdir(parents=True)
    with pytest.raises(ConfigError, match=rf"old already holds {mark} of a run\. Resume that run"):
        claimed(tmp_path / "old", tiny_recipe())


def test_the_first_process_looks_for_all_of_them(tmp_path: Path) -> None:
    """Otherwise the others would take the config of their own run for that of an earlier one, or wait for it."""
    claimed(tmp_path, tiny_recipe(), Processes(told=[]))
    with pytest.raises(ConfigError, match=r"already holds config\.yaml of a run"):
        claimed(tmp_path, tiny_recipe(), Processes(told=["config.yaml"]))
    assert not list(tmp_path.iterdir())
    claimed(tmp_path, tiny_recipe())
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", FOLDER}
    claimed(tmp_path, tiny_recipe(), Processes(told=[]))


def begin(directory: Path, *steps: int, end: Callable[[], object], resume: bool = False) -> None:
    """Begin a run that ends after these steps."""
    recipe = tiny_recipe(log_every=20, logger=())
    with (
        claim(directory, recipe, Processes(), resume=resume),
        RunLog(directory, recipe, start=0, writing=True, progress=False) as log,
    ):
        for step in steps:
            log.step(step, {"loss": 1.0, "lr": 0.1})
        end()


def test_a_run_that_ends_without_a_step_leaves_its_directory_free(tmp_path: Path) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin(tmp_path, end=fails)
    assert not (tmp_path / "config.yaml").exists()
    with pytest.raises(ZeroDivisionError):
        begin(tmp_path, 1, end=fails)
    assert (tmp_path / "config.yaml").exists()
    with pytest.raises(ZeroDivisionError):
        begin(tmp_path, end=fails, resume=True)
    assert (tmp_path / "config.yaml").exists(), "it is that of the run before"


def test_a_run_that_is_killed_without_a_step_leaves_its_directory_free(tmp_path: Path) -> None:
    def killed(*steps: int) -> None:
        process = forked(lambda: begin(tmp_path, *steps, end=lambda: os._exit(9)))
        process.join()
        assert process.exitcode == 9

    killed()
    killed()
    assert Recipe.read(tmp_path / "config.yaml").steps == 8
    claimed(tmp_path, tiny_recipe(steps=4))
    assert Recipe.read(tmp_path / "config.yaml").steps == 4
    with pytest.raises(ConfigError, match=r"already holds config\.yaml of a run"):
        claimed(tmp_path, tiny_recipe())  # the one before has ended
    (tmp_path / "config.yaml").unlink()
    killed(1)
    with pytest.raises(ConfigError, match=r"already holds config\.yaml of a run"):
        claimed(tmp_path, tiny_recipe())
    assert (tmp_path / "config.yaml").exists()


def test_a_run_with_checkpoints_keeps_its_config_until_it_goes_on(directory: Path) -> None:
    (directory / "config.yaml").write_text("steps: 4\n")
    claimed(directory, tiny_recipe(steps=8), resume=True)
    assert (directory / "config.yaml").read_text() == "steps: 4\n"
    shutil.rmtree(directory / CHECKPOINTS)
    claimed(directory, tiny_recipe(steps=8), resume=True)
    assert Recipe.read(directory / "config.yaml").steps == 8


class Processes(Fabric):  # type: ignore[misc]  # Fabric has no types for mypy
    """The first process of several, or another one that is `told` what the first one has found."""

    def __init__(self, *, told: list[str] | None = None) -> None:
        super().__init__(accelerator="cpu", devices=1)
        self._told = told

    @property
    def is_global_zero(self) -> bool:
        return self._told is None

    def broadcast(self, found: list[str] | None, src: int = 0) -> list[str] | None:
        return found if self._told is None else self._told


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


def test_without_a_checkpoint_resuming_is_beginning_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume(tmp_path, resume=False)
    assert "no checkpoint" not in capsys.readouterr().err
    shutil.rmtree(tmp_path / CHECKPOINTS)
    resume(tmp_path)
    printed = capsys.readouterr().err.replace("\n", "")
    assert f"no checkpoint in {tmp_path / CHECKPOINTS} to resume from; the run begins at its first step" in printed
    assert checkpoint.last(tmp_path / CHECKPOINTS).name == "step-00000004"


def with_settings(directory: Path, settings: dict[str, object], *, resume: bool) -> None:
    recipe = tiny_recipe(steps=2, checkpoint_every=2)
    objective = SegmentationObjective()
    fit(
        recipe,
        TinyMethod(),
        TinyDataset(),
        directory,
        objective=objective,
        settings=settings,
        resume=resume,
        progress=False,
    )


SETTINGS = TrainingConfig().model_dump(mode="json", exclude={"training"})


def leaves(values: dict, prefix: str = "") -> list[str]:
    """The dotted keys of all values."""
    found = []
    for key, value in values.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]
    return found


def changed(values: dict, dotted: str) -> dict:
    key, _, rest = dotted.partition(".")
    return {**values, key: changed(values[key], rest) if rest else "another"}


def test_every_setting_that_shapes_the_result_is_compared(tmp_path: Path) -> None:
    with_settings(tmp_path, SETTINGS, resume=False)
    newest = checkpoint.last(tmp_path / CHECKPOINTS)
    assert newest is not None
    stored = cast(dict[str, Any], checkpoint.read(newest).state["settings"])
    keys = leaves(SETTINGS)
    assert {"augmentation.flip", "method.cost.window", "method.backbone.resolution", "inference.batch"} <= set(keys)
    for key in keys:
        lines = changes(stored, {**as_read(changed(SETTINGS, key)), "backbone": stored["backbone"]}, free=_FREE)
        assert key in lines or key == "method.backbone.source", key


@pytest.mark.parametrize(
    "key", ["augmentation.flip", "method.backbone.resolution", "method.cost.dim", "inference.batch"]
)
def test_a_run_with_another_setting_is_not_resumed(tmp_path: Path, key: str) -> None:
    with_settings(tmp_path, SETTINGS, resume=False)
    with pytest.raises(ConfigError, match=rf"trained with other settings:\n  {key}: was .*, now \"another\""):
        with_settings(tmp_path, changed(SETTINGS, key), resume=True)


def test_weights_that_have_moved_are_the_same_weights(tmp_path: Path) -> None:
    with_settings(tmp_path, SETTINGS, resume=False)
    with_settings(tmp_path, changed(SETTINGS, "method.backbone.source"), resume=True)


def test_another_tokenizer_is_another_setting(tmp_path: Path) -> None:
    with_settings(tmp_path, SETTINGS, resume=False)
    method = TinyMethod()
    method.backbone.tokenizer.context -= 1
    with pytest.raises(ConfigError, match=r"backbone\.tokenizer: was "):
        fit(
            tiny_recipe(steps=2, checkpoint_every=2),
            method,
            TinyDataset(),
            tmp_path,
            objective=SegmentationObjective(),
            settings=SETTINGS,
            resume=True,
        )


def test_other_synonyms_under_the_same_labels_are_other_data(directory: Path) -> None:
    """They are what is trained on, so a run does not go on with them, although every label is the same."""
    dataset = TinyDataset()
    names = [", ".join((*entry.names, f"other {place}")) for place, entry in enumerate(dataset.vocabulary.entries)]
    changed = Vocabulary.parse(names)
    assert changed.labels == dataset.vocabulary.labels
    dataset.vocabulary = changed
    with pytest.raises(ConfigError, match=r"\(or other names\). Resume with the same data"):
        resume(directory, dataset=dataset)
