"""Tables from raw values to labels."""

import numpy as np
import pytest

from ahs_seg.data.prepare.tables import convert_ids, raw_ids, read_ids


@pytest.mark.parametrize(
    ("table", "classes"), [("ade20k-150", 150), ("ade20k-847", 847), ("coco-stuff-171", 171), ("pascal-context-59", 59)]
)
def test_every_raw_value_has_its_label_and_no_other_has_one(table: str, classes: int) -> None:
    raw = raw_ids(table)
    assert len(raw) == len(set(raw)) == classes
    labels = convert_ids(np.array([raw], np.uint16), table, 65535)
    assert labels.tolist() == [list(range(classes))]
    others = np.array([sorted(set(range(4000)) - set(raw))], np.uint16)
    assert set(convert_ids(others, table, 65535).ravel().tolist()) == {65535}


def test_lists_have_names_and_no_comments() -> None:
    names = read_ids("pascal-context-459-val")
    assert len(names) == len(set(names)) == 5104
    assert not any(name.startswith("#") or not name.strip() for name in names)
