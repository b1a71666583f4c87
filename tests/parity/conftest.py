"""Each full-size model is built once for all parity tests."""

import pytest

from tests.parity.case import CONVERTERS, Case, build


# All tests of a case run in one process, since its weights take up to two gigabytes.
@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CONVERTERS]
)
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)
