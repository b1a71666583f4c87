"""Settings of modules by name."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, ClassVar

import pytest

from ahs_seg.config import Config, ConfigError
from ahs_seg.experiments.ablation.suites import find_experiment
from ahs_seg.modules.settings import ModuleConfig


class Part(ModuleConfig):
    """A module with two settings."""

    TUNED: ClassVar[Mapping[str, Any]] = {"weight": 0.01, "rank": 4}

    weight: float = 0.1
    rank: int = 64


class Method(Config):
    """A config with a module below it."""

    part: Part | None = Part()


@pytest.mark.parametrize(
    ("given", "weight", "rank"),
    [
        ({}, 0.1, 64),
        ({"setting": "documented"}, 0.1, 64),
        ({"setting": "tuned"}, 0.01, 4),
        ({"setting": "tuned", "rank": 8}, 0.01, 8),
    ],
)
def test_a_setting_gives_the_values_that_are_not_given(given: dict[str, Any], weight: float, rank: int) -> None:
    assert Method.parse({"part": given}).part == Part(weight=weight, rank=rank)


def test_a_setting_is_chosen_by_an_override_and_in_python() -> None:
    config = Method.parse({"part": {"setting": "documented", "rank": 8}}, ["part.setting=tuned"])
    assert config.part == Part.parse({"setting": "tuned", "rank": 8}) == Part(weight=0.01, rank=8)
    assert "setting" not in config.to_yaml()


def test_an_unknown_setting_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"part.*setting is 'tunned', but must be documented or tuned"):
        Method.parse({"part": {"setting": "tunned"}})


@pytest.mark.parametrize("name", ["ahs_seg_vitb", "ahs_seg_vitl", "quickstart/ahs_seg"])
@pytest.mark.parametrize("module", ["tuner.modulation", "cost.projection"])
def test_the_setting_of_a_packaged_config_acts(name: str, module: str) -> None:
    check_setting(name, module)


@pytest.mark.parametrize("name", ["ahs_seg_lite_vitb", "ahs_seg_lite_vitl", "quickstart/ahs_seg_lite"])
@pytest.mark.parametrize("module", ["cost.prototypes", "cost.distillation"])
def test_the_setting_of_a_packaged_config_of_the_simple_design_acts(name: str, module: str) -> None:
    check_setting(name, module)


@pytest.mark.parametrize("name", ["hps_seg_vitb", "hps_seg_vitl", "quickstart/hps_seg"])
@pytest.mark.parametrize("module", ["cost.prototypes", "cost.alignment", "cost.rectification"])
def test_the_setting_of_a_packaged_config_of_hps_seg_acts(name: str, module: str) -> None:
    check_setting(name, module)


def check_setting(name: str, module: str) -> None:
    """Both settings act: no value of the file stands in their way. Where the tuned one wins it is the default."""
    named = {
        setting: attrgetter(module)(find_experiment(name, [f"method.{module}.setting={setting}"]).method)
        for setting in ("documented", "tuned")
    }
    documented, tuned = named.values()
    changed = {key: getattr(tuned, key) for key in dict(tuned) if getattr(tuned, key) != getattr(documented, key)}
    assert changed == dict(tuned.TUNED)
    default = attrgetter(module)(find_experiment(name).method)
    assert default == (tuned if name.startswith("quickstart/") else documented)


def test_a_module_without_tuned_values_has_no_such_setting() -> None:
    class Plain(ModuleConfig):
        weight: float = 0.1

    with pytest.raises(ConfigError, match="setting is 'tuned', but must be documented"):
        Plain.parse({"setting": "tuned"})
