"""Scenes drawn into a folder, and the recipe with which the tiny CLIP is trained."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from ahs_seg.data.config import WorldData
from ahs_seg.data.folder import FolderDataset
from ahs_seg.training.tiny_clip.recipe import PretrainConfig
from ahs_seg.training.tiny_clip.validation import Validation
from tests.support.command_line import fails, output_of

FIGURES = files("ahs_seg") / "assets" / "tiny_clip" / "test.json"


def test_drawn_scenes_are_those_of_the_world(tmp_path: Path) -> None:
    words: list[str | int] = ["--names", 20, "--scenes", "validation", "--count", 2, "--size", 48]
    assert output_of("world", "draw", "-o", tmp_path, *words) == f"2 scenes with 20 names: {tmp_path}\n"
    world = WorldData(scenes="validation", count=2, names=20, size=48).open()
    folder = FolderDataset(tmp_path, split="validation")
    assert folder.vocabulary.labels == world.vocabulary.labels
    assert len(folder) == 2
    for index in range(2):
        assert np.array_equal(folder[index].image, world[index].image)
        assert np.array_equal(folder[index].labels, world[index].labels)


def test_the_names_of_the_training_are_a_word(tmp_path: Path) -> None:
    assert "1 scenes with seen names" in output_of("world", "draw", "-o", tmp_path, "--names", "seen", "--count", 1)
    names = (tmp_path / "classes.txt").read_text().splitlines()
    assert names == WorldData(names="seen").open().vocabulary.labels


@pytest.mark.parametrize(("words", "key"), [(("--names", "21"), "names"), (("--scenes", "night"), "scenes")])
def test_what_cannot_be_drawn_is_one_message(
    words: tuple[str, str],
    key: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    message = fails(capsys, monkeypatch, "world", "draw", "-o", tmp_path / "out", *words)
    assert "world draw is not valid" in message
    assert f"  {key}: " in message
    assert not (tmp_path / "out").exists()


def test_the_recipe_takes_overrides_and_the_figures_are_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[Path, PretrainConfig]] = []
    figures = Validation.model_validate_json(FIGURES.read_text(encoding="utf-8"))

    def pretrain(directory: Path, config: PretrainConfig) -> Validation:
        asked.append((directory, config))
        return figures

    monkeypatch.setattr("ahs_seg.training.tiny_clip.recipe.pretrain", pretrain)
    text = output_of("world", "pretrain", "steps=7", "model.depth=2", "-o", tmp_path)
    assert asked == [(tmp_path, PretrainConfig.parse({}, ["steps=7", "model.depth=2"]))]
    assert text == figures.to_yaml() + "\n"
