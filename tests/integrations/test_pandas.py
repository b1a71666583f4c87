"""The table of the classes found."""

import pytest

from ahs_seg.errors import MissingPackageError
from tests.support.results import made


def test_a_row_for_every_class_found() -> None:
    table = made([[2, 2, 0], [2, -1, 0]]).to_dataframe()
    assert table.to_dict("records") == [
        {"label": "sky", "index": 2, "pixels": 3, "share": 0.5, "score": 0.75, **box(0, 0, 2, 2)},
        {"label": "straße", "index": 0, "pixels": 2, "share": 2 / 6, "score": 0.75, **box(2, 0, 3, 2)},
    ]
    assert list(table.columns) == list(made([[-1]]).to_dataframe().columns)
    assert len(made([[-1]]).to_dataframe()) == 0


def box(left: int, top: int, right: int, bottom: int) -> dict[str, int]:
    return {"left": left, "top": top, "right": right, "bottom": bottom}


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.extras.find_spec", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"to_dataframe needs pandas.*pip install pandas"):
        made([[0]]).to_dataframe()
