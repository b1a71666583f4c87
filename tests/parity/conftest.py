"""Each full-size model is built once for all parity tests; which of them are slow is said here and in their files."""

import pytest

from tests.parity.case import CONVERTERS, Case, build
from tests.parity.recording import VIT_B

LONGEST = {
    "test_two_optimiser_steps[catseg_vitb]",
    "test_most_similar_classes_of_300[catseg_vitb]",
    "test_sliding_window[catseg_vitb]",
    "test_two_optimiser_steps[hclip_vitb]",
    "test_most_similar_classes_of_300[hclip_vitb]",
    "test_sliding_window[hclip_vitb]",
}
"""Marked slow (`make slow`), as are ViT-L and the mask family in full size, whose tiny recordings are fast tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in LONGEST:
            item.add_marker(pytest.mark.slow)


def marks(name: str) -> list[pytest.MarkDecorator]:
    """All tests of a size run in one process, since its weights take up to two gigabytes."""
    large = name.endswith("vitl")
    return [pytest.mark.xdist_group("vitl" if large else VIT_B), *([pytest.mark.slow] if large else [])]


@pytest.fixture(scope="session", params=[pytest.param(name, marks=marks(name)) for name in CONVERTERS])
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)
