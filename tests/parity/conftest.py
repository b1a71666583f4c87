"""Each full-size model is built once for all parity tests."""

from collections.abc import Iterator

import pytest
import torch

from tests.parity.case import CONVERTERS, Case, build


# All tests of a case run in one process, since its weights take up to two gigabytes.
@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CONVERTERS]
)
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Full-size networks gain from a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
