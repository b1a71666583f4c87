"""A table whose truth is known."""

import pytest

from tests.support.ablation import EFFECTS, table


@pytest.fixture(scope="module")
def found():
    return table(EFFECTS)
