"""Each full-size model is built once for all parity tests; those of ViT-L are marked slow, and the longest others."""

import pytest

from tests.parity.case import CONVERTERS, Case, build

LONGEST = {
    "hclip_vitb": ("test_two_optimiser_steps", "test_most_similar_classes_of_300", "test_sliding_window"),
    "scan_vitb": ("test_training_losses_and_gradients",),
}
"""Marked slow: CAT-Seg in the same size, or SCAN in the tiny one, is compared in the same way in the fast tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "case" in item.fixturenames and hasattr(item, "callspec"):
            if item.originalname in LONGEST.get(item.callspec.params.get("case", ""), ()):
                item.add_marker(pytest.mark.slow)


def marks(name: str) -> list[pytest.MarkDecorator]:
    """All tests of a case run in one process, since its weights take up to two gigabytes."""
    return [pytest.mark.xdist_group(name), *([pytest.mark.slow] if name.endswith("vitl") else [])]


@pytest.fixture(scope="session", params=[pytest.param(name, marks=marks(name)) for name in CONVERTERS])
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)
