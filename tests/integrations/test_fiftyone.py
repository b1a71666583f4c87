"""`fo.Segmentation`, against a stand-in that has the one name and arguments of FiftyOne that are used."""

import numpy as np
import pytest

from ahs_seg.errors import MissingPackageError
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.fiftyone_stand_in import StandIn, install
from tests.support.results import made


@pytest.fixture
def fiftyone(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.mark.usefixtures("fiftyone")
def test_the_mask_holds_the_index_plus_one_and_zero_where_unknown() -> None:
    result = made([[0, 2], [-1, 1]])
    label = result.to_fiftyone()
    assert isinstance(label, StandIn)
    assert label.mask.dtype == np.uint8
    assert label.mask.tolist() == [[1, 3], [0, 2]]
    targets = {index + 1: name for index, name in result.names.items()}
    assert targets[3] == "sky"


@pytest.mark.usefixtures("fiftyone")
@pytest.mark.parametrize(("classes", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_long_vocabularies_need_more_bits(classes: int, kind: type) -> None:
    words = Vocabulary.parse([f"thing {index}" for index in range(classes)])
    label = made([[classes - 1]], words).to_fiftyone()
    assert label.mask.dtype == kind
    assert label.mask.tolist() == [[classes]]


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.extras.find_spec", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"to_fiftyone needs fiftyone.*pip install fiftyone"):
        made([[0]]).to_fiftyone()
