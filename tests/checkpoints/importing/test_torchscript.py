"""TorchScript archives are read without running them."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError
from ahs_seg.checkpoints.importing.weights import read_weights
from ahs_seg.io.pickles import MAX_PICKLE_BYTES
from tests.support.hostile import Hostile
from tests.support.official import archive
from tests.support.traced import allocating_at_most


def test_a_torchscript_archive_gives_what_torch_reads(tmp_path: Path) -> None:
    state = {"visual.conv.weight": torch.randn(4, 3, 2, 2), "scale": torch.tensor(2.5), "count": torch.tensor(7)}
    path = archive(state, tmp_path / "a.pt")
    expected = torch.jit.load(path).state_dict()
    read = read_weights(path).state
    assert read.keys() == expected.keys() == state.keys()
    assert all(torch.equal(read[key].double(), expected[key].double()) for key in state)


def test_a_torchscript_archive_keeps_strides(tmp_path: Path) -> None:
    path = archive(
        {"a": torch.arange(12.0).view(3, 4).T, "b": torch.arange(12.0).view(3, 4)[1:, ::2]}, tmp_path / "a.pt"
    )
    read = read_weights(path).state
    assert read["a"].tolist() == torch.arange(12.0).view(3, 4).T.tolist()
    assert read["b"].tolist() == [[4, 6], [8, 10]]


def _replaced(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name.partition("/")[2], old.read(name)))
    return target


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_archive_is_refused_by_name_and_not_run(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "made"
    whole = archive({"a": torch.ones(2)}, tmp_path / "a.pt")
    path = _replaced(whole, tmp_path / "evil.pt", {"data.pkl": pickle.dumps(Hostile(victim), protocol)})
    with pytest.raises(CheckpointError, match=r"rejected without running any of its code: it refers to posix\.mkdir"):
        read_weights(path)
    assert not victim.exists()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    whole = archive({"a": torch.ones(2)}, tmp_path / "a.pt")
    short = _replaced(whole, tmp_path / "short.pt", {"data/0": b"\0"})
    with pytest.raises(CheckpointError, match=r"damaged \(data/0 has 1 bytes, not 4\)"):
        read_weights(short)
    other = _replaced(whole, tmp_path / "other.pt", {"data.pkl": pickle.dumps([1, 2])})
    with pytest.raises(CheckpointError, match="holds a list, not a TorchScript module"):
        read_weights(other)


def _modules(*parts: bytes) -> bytes:
    """A pickle of modules inside one another; each part is what the one before is put into."""
    return b"\x80\x02" + b"".join(parts) + b"."


def _module(name: str, holds: bytes) -> bytes:
    """A module with an attribute `a` and an attribute `b`, given by the operations that make it."""
    return f"c__torch__\n{name}\n)\x81}}(X\1\0\0\0a".encode("latin1") + holds + b"X\1\0\0\0b" + holds + b"ub"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _modules(b"Nq\0", *(_module("M", b"h%c" % n) + b"q%c" % (n + 1) for n in range(40))),
            "describes more than 1,000,000 values",
        ),
        (b"\x80\x02]r" + (2**28).to_bytes(4, "little") + b".", "claims place 268,435,456 of the memo"),
        (b"\x80\x02N" + b"\x85" * 1_000 + b".", "more than 100 containers inside one another"),
        (b"\x80\x02" + bytes(MAX_PICKLE_BYTES), "bytes, allowed are 16,777,216"),
    ],
    ids=["modules shared 2^40 times", "memo", "nested", "large"],
)
def test_an_archive_that_claims_much_costs_little(tmp_path: Path, content: bytes, message: str) -> None:
    whole = archive({"a": torch.ones(2)}, tmp_path / "a.pt")
    path = _replaced(whole, tmp_path / "evil.pt", {"data.pkl": content})
    with allocating_at_most(2**24), pytest.raises(CheckpointError, match=r"evil\.pt .*" + message):
        read_weights(path)
