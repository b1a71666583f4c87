"""Each full-size model is built once for all parity tests; those of ViT-L are marked slow, and the longest others."""

import pytest

from tests.parity.case import CONVERTERS, Case, build

LONGEST = {
    "test_two_optimiser_steps[hclip_vitb]",
    "test_most_similar_classes_of_300[hclip_vitb]",
    "test_sliding_window[hclip_vitb]",
    "test_training_losses_and_gradients[scan_vitb]",
}
"""Marked slow: the fast tests compare the same of CAT-Seg in this size, or of SCAN in the tiny one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in LONGEST:
            item.add_marker(pytest.mark.slow)


def marks(name: str) -> list[pytest.MarkDecorator]:
    """All tests of a case run in one process, since its weights take up to two gigabytes."""
    return [pytest.mark.xdist_group(name), *([pytest.mark.slow] if name.endswith("vitl") else [])]


@pytest.fixture(scope="session", params=[pytest.param(name, marks=marks(name)) for name in CONVERTERS])
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)
