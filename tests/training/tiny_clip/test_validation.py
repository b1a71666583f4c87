"""The packaged CLIP reaches its recorded scores (few images here, so with margin)."""

from importlib.resources import files

import pytest

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.data.world import TEST_SEED, VALIDATION_SEED
from ahs_seg.training.tiny_clip.recipe import PretrainConfig
from ahs_seg.training.tiny_clip.validation import Validation, validate

FOLDER = files("ahs_seg") / "assets" / "tiny_clip"


def recorded(name):
    return Validation.model_validate_json((FOLDER / f"{name}.json").read_text())


def test_the_recorded_figures_pass_the_acceptance_test():
    for name, seed in (("validation", VALIDATION_SEED), ("test", TEST_SEED)):
        figures = recorded(name)
        assert figures.seed == seed
        assert (figures.trained.photos, figures.scenes) == (1000, 300)
    assert recorded("test").faults() == []


def test_its_recipe_is_the_one_in_the_package():
    assert PretrainConfig.read(str(FOLDER / "recipe.yaml")) == PretrainConfig()


def test_the_files_are_small_and_hold_nothing_but_tensors_and_text():
    names = {path.name: path for path in FOLDER.iterdir()}
    assert {path.rpartition(".")[2] for path in names} <= {"json", "yaml", "safetensors"}
    assert sum(len(path.read_bytes()) for path in names.values()) < 12_000_000


def test_the_packaged_weights_do_what_the_figures_say():
    backbone = ClipConfig(source="tiny").build()
    assert isinstance(backbone, ClipBackbone)
    found = validate(backbone, VALIDATION_SEED, photos=150, scenes=24)
    claimed = recorded("validation")
    assert found.trained.top1 == pytest.approx(claimed.trained.top1, abs=0.12)
    assert found.never_trained.top1 == pytest.approx(claimed.never_trained.top1, abs=0.12)
    assert found.whole.pixel_accuracy == pytest.approx(claimed.whole.pixel_accuracy, abs=0.06)
    assert found.whole.miou > found.windowed.miou - 0.02
    assert min(found.columns + found.rows) > 0.8
