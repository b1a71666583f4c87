"""Each full-size model is built once for all parity tests; those of ViT-L are marked slow."""

import pytest

from tests.parity.case import CONVERTERS, Case, build


def marks(name: str) -> list[pytest.MarkDecorator]:
    """All tests of a case run in one process, since its weights take up to two gigabytes."""
    return [pytest.mark.xdist_group(name), *([pytest.mark.slow] if name.endswith("vitl") else [])]


@pytest.fixture(scope="session", params=[pytest.param(name, marks=marks(name)) for name in CONVERTERS])
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)
