"""Settings of modules by name."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from ahs_seg.config import Config, ConfigError
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
    assert config.part == Part.in_setting("tuned", rank=8) == Part(weight=0.01, rank=8)
    assert "setting" not in config.to_yaml()


def test_an_unknown_setting_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"part.*setting is 'tunned', but must be documented or tuned"):
        Method.parse({"part": {"setting": "tunned"}})
