"""What is said when the package of an extra is missing."""

import sys
from typing import get_args

import pytest

from ahs_seg.errors import MissingPackageError
from ahs_seg.io.extras import PACKAGES, Extra, require_extra, require_package


@pytest.mark.parametrize("extra", get_args(Extra))
def test_the_message_says_what_to_install(extra: Extra, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setattr("ahs_seg.io.extras.find_spec", lambda name: name)
        require_extra(extra, "this", otherwise="do that")
    monkeypatch.setitem(sys.modules, PACKAGES[extra][0], None)
    with pytest.raises(MissingPackageError, match=rf"this needs .*pip install 'ahs-seg\[{extra}\]', or do that\."):
        require_extra(extra, "this", otherwise="do that")


def test_a_package_of_no_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    require_package("numpy", "this")
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingPackageError, match=r"this needs numpy, .*; install it with pip install numpy\."):
        require_package("numpy", "this")
