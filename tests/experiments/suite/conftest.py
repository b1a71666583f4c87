"""A model directory that all tests of suites share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.world_runs import saved_model


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("model") / "tiny")
