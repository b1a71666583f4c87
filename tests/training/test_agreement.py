"""What one process wants, all do."""

import pytest
from lightning_fabric import Fabric

from ahs_seg.training.agreement import anywhere


@pytest.mark.parametrize(("own", "other", "found"), [(False, 0.0, False), (True, 0.0, True), (False, 1.0, True)])
def test_a_flag_of_any_process_is_one_of_all(
    own: bool, other: float, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    assert anywhere(own, fabric) is own
    monkeypatch.setattr(Fabric, "world_size", 2)
    monkeypatch.setattr(Fabric, "all_reduce", lambda _, data, reduce_op: data + other if reduce_op == "sum" else None)
    assert anywhere(own, fabric) is found
