"""Names and shapes before values, and every difference by its name."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ahs_seg.errors import CheckpointError
from ahs_seg.io.weight_files import differences, fill, in_memory, is_finite, largest_index, stored_tensors
from ahs_seg.modules.unfilled import unfilled
from tests.support.memory import cost_of


def lying(header: object, *, length: int | None = None, size: int = 64) -> bytes:
    """A safetensors file whose header claims anything."""
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(size)


def claim(shape: list[int], begin: int = 0, end: int = 64, kind: str = "F32") -> dict[str, object]:
    return {"a": {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}}


LIES = {
    "more than there is": lying(claim([2**40])),
    "more than a size can be": lying(claim([2**62, 2**62])),
    "an end behind the file": lying(claim([2**30], end=2**32)),
    "negative": lying(claim([-4])),
    "overlapping": lying(claim([16]) | {"b": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}),
    "a long header": lying(b"{}", length=2**40),
    "a longer header than the file": lying(b"{}", length=2**16),
    "deep": lying(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "no JSON": lying(b"{"),
    "a list": lying([]),
    "unknown type": lying(claim([16], kind="F128")),
    "a type of no weights": lying(claim([64], kind="F8_E5M2")),
    "nothing": b"",
    "less than a length": b"abc",
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_a_header_that_lies_costs_nothing(content: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        stored_tensors(path)


def test_the_peak_of_lying_headers(tmp_path: Path) -> None:
    def read_all() -> None:
        for name, content in LIES.items():
            (path := tmp_path / f"{name}.safetensors").write_bytes(content)
            with pytest.raises(CheckpointError):
                stored_tensors(path)

    cost = cost_of(read_all)
    assert not cost.error
    assert cost.mib < 64


def test_shapes_are_known_without_values(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2, 3), "b": torch.ones(4).half()}, tmp_path / "a.safetensors")
    found = stored_tensors(tmp_path / "a.safetensors")
    assert {name: (tuple(one.shape), one.dtype) for name, one in found.items()} == {
        "a": ((2, 3), torch.float32),
        "b": ((4,), torch.float16),
    }
    assert found["a"].read().tolist() == [[1.0] * 3] * 2


def test_a_network_is_filled_from_the_file_alone() -> None:
    network = nn.Linear(2, 1)
    fill(network, in_memory({"weight": torch.tensor([[1.0, 2.0]]).double(), "bias": torch.tensor([3.0]).half()}), "x")
    assert network(torch.ones(2)).item() == 6


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (torch.tensor([torch.nan]), "x: 1 weights hold NaN or infinity: bias"),
        (torch.tensor([3]), r"x: 1 weights are of another type than the network has: bias \(int64\)"),
    ],
)
def test_weights_that_cannot_work_are_named(bias: torch.Tensor, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        fill(nn.Linear(2, 1), in_memory({"weight": torch.ones(1, 2), "bias": bias}), "x")


def test_differences_name_every_key() -> None:
    found = in_memory({"a": torch.ones(2), "c": torch.ones(1)})
    text = differences(found, {"a": torch.ones(3), "b": torch.ones(1)}, {"a": "module.a", "c": "module.c"})
    assert text == (
        "1 missing: b; 1 unexpected: c (in the file: module.c); "
        "1 with a different shape: a (in the file: module.a) is (2,), should be (3,)"
    )
    assert differences(found, {"a": torch.ones(2), "c": torch.ones(1)}) == ""


def test_layers_are_counted_by_their_largest_index() -> None:
    names = dict.fromkeys(["x.layers.0.a", "x.layers.7.b", "x.layers.last", "y.layers.9.a"])
    assert largest_index(names, "x.layers.") == 8
    assert largest_index(names, "z.layers.") == 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_values_are_read_into_tensors_of_any_type_and_layout(kind: torch.dtype, tmp_path: Path) -> None:
    values = (torch.randn(5, 4) * 3).to(kind)
    save_file({"first": torch.ones(3), "a": values, "none": torch.ones(0), "one": torch.tensor(2.0)}, tmp_path / "a")
    stored = stored_tensors(tmp_path / "a")
    assert torch.equal(stored["a"].read(), values)
    stored["a"].into(same := torch.empty(5, 4, dtype=kind))
    stored["a"].into(wider := torch.empty(5, 4, dtype=torch.float64))
    stored["a"].into(turned := torch.empty(4, 5, dtype=kind).T)
    stored["one"].into(one := torch.empty(()))
    assert torch.equal(same, values)
    assert torch.equal(wider, values.double())
    assert torch.equal(turned, values)
    assert one.item() == 2
    assert stored["none"].read().shape == (0,)


def test_a_filled_network_does_not_depend_on_its_file(tmp_path: Path) -> None:
    network, path = nn.Linear(2, 1), tmp_path / "a"
    save_file({"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}, path)
    fill(network, stored_tensors(path), path)
    path.write_bytes(bytes(path.stat().st_size))
    os.truncate(path, 1)
    assert network(torch.ones(2)).item() == 6


@pytest.mark.parametrize("change", ["shortened", "written", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_never_mixed(change: str, tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    save_file({"weight": torch.ones(64)}, path)
    save_file({"weight": torch.zeros(64)}, other)
    stored = stored_tensors(path)
    if change == "shortened":
        os.truncate(path, path.stat().st_size - 4)
    elif change == "written":
        path.write_bytes(other.read_bytes())
        os.utime(path, ns=(1, 1))
    else:
        other.replace(path)
    with pytest.raises(CheckpointError, match="was changed while it was read; do the same again"):
        stored["weight"].read()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_not_finite_are_found_anywhere(value: float) -> None:
    values = torch.ones(100, dtype=torch.float16)
    assert is_finite(values)
    values[57] = value
    assert not is_finite(values)
    assert is_finite(torch.ones(0))


def test_filling_takes_the_memory_of_the_weights_once(tmp_path: Path) -> None:
    size = 48 * 2**20
    save_file({f"{index}.weight": torch.ones(1, size // 8 // 4) for index in range(8)}, tmp_path / "a")

    def load() -> None:
        with unfilled():
            network = nn.Sequential(*(nn.Linear(size // 8 // 4, 1, bias=False) for _ in range(8)))
        fill(network, stored_tensors(tmp_path / "a"), "a")

    cost = cost_of(load)
    assert not cost.error
    assert cost.mib < 1.6 * size / 2**20, "weights once, and what a process takes"
