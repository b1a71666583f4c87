"""The seed of the campaign and the record of its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.models import zero_shot
from tests.campaign.record import Part

SEED = 20260


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--campaign-seed", type=int, default=SEED, help="Seed of the cases of tests/campaign.")
    parser.addoption("--campaign-record", type=Path, default=None, help="Folder for the figures of tests/campaign.")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed from which a part draws its cases; it is printed if the part fails."""
    chosen: int = request.config.getoption("--campaign-seed", SEED)
    print(f"--campaign-seed={chosen}")
    return chosen


@pytest.fixture
def part(request: pytest.FixtureRequest, seed: int) -> Part:
    """The record of a part, named as its test; it is written when the test ends."""
    return Part(seed, request.config.getoption("--campaign-record", None))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory that no case changes."""
    return zero_shot(tmp_path_factory.mktemp("models") / "model")
