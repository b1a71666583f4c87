"""Checkpoint files are data: what refers to more than tensors is rejected with its name, and never run."""

import json
import pickle
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ahs_seg.checkpoints import CheckpointError
from ahs_seg.checkpoints.importing.weights import read_weights
from tests.support.hostile import Hostile
from tests.support.official import archive
from tests.support.traced import allocating_at_most

STATE = OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.ones(2, dtype=torch.half))


def same(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_state_dicts_bare_and_wrapped(tmp_path: Path, legacy: bool, wrapper: str | None) -> None:
    content = STATE if wrapper is None else {wrapper: STATE, "optimizer": {"step": 3}, "matching_heuristics": True}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    weights = read_weights(tmp_path / "a.pth")
    assert same(weights.state)
    assert set(weights.ignored) == (set() if wrapper is None else {"optimizer", "matching_heuristics"})
    assert all(weights.ignored.values())


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert same(read_weights(tmp_path / "a.safetensors").state)
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_hostile_checkpoint_is_refused_by_name_and_not_run(tmp_path: Path, legacy: bool, protocol: int) -> None:
    victim = tmp_path / "made"
    content = {"model": STATE, "optimizer": Hostile(victim)}
    path = tmp_path / "evil.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    with pytest.raises(
        CheckpointError, match=r"evil\.pth was rejected without running any of its code: it refers to posix\.mkdir"
    ):
        read_weights(path)
    assert not victim.exists()
    torch.load(path, weights_only=False)
    assert victim.exists()  # it was hostile


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_plain_pickle_is_not_opened(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "made"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"model": Hostile(victim)}, protocol))
    with pytest.raises(CheckpointError, match=r"not written by torch\.save.*refers to posix\.mkdir; it was not loaded"):
        read_weights(path)
    assert not victim.exists()


def test_arrays_of_numpy_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"model": {"a": np.ones(3)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"_reconstruct, numpy\.dtype, numpy\.ndarray"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello world", r"not written by torch\.save, or is damaged\. Give"),
        (b"class a\nimport b\n", r"not written by torch\.save, or is damaged\. Give"),
        (b"", "not written by torch"),
        (b"PK\x03\x04 and no more", "truncated"),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_weights(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(tmp_path / "b.pth")


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, {"iteration": 3}, torch.ones(2)])
def test_files_without_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"not a state dict|holds no state dict"):
        read_weights(tmp_path / "a.pth")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["zip", "legacy", "archive"]))
@pytest.mark.filterwarnings("ignore")
def test_damage_anywhere_is_an_error_of_ours_or_none(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    whole = tmp_path / f"{kind}.pth"
    if not whole.exists() and kind == "archive":
        archive({"a": torch.ones(2), "b": torch.ones(3, 2)}, whole)
    elif not whole.exists():
        torch.save({"model": STATE}, whole, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(content if data.draw(st.booleans()) else content[:cut])
    with suppress(CheckpointError):
        read_weights(damaged)


def test_headers_of_safetensors_that_lie(tmp_path: Path) -> None:
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    for header in ({"a": {**one, "shape": [2**40]}}, {"a": {**one, "dtype": "F8_E4M3"}}, {"a": one, "b": one}):
        text = json.dumps(header).encode()
        (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
        with allocating_at_most(2**20), pytest.raises(CheckpointError, match=r"a\.safetensors(:| is damaged)"):
            read_weights(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes((2**25).to_bytes(8, "little") + b" " * 2**25 + bytes(16))
    with allocating_at_most(2**20), pytest.raises(CheckpointError, match="its header claims 33,554,432 bytes"):
        read_weights(tmp_path / "a.safetensors")


def test_wrappers_are_removed_until_the_keys_are_known(tmp_path: Path) -> None:
    wrapped = {f"module.{key}": value for key, value in STATE.items()}
    torch.save({"state_dict": wrapped, "epoch": 1}, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth").state.keys() == wrapped.keys()
    weights = read_weights(tmp_path / "a.pth", lambda keys: "a" in keys)
    assert same(weights.state)
    assert weights.notes[0].startswith("2 keys begin with 'module.' (DataParallel")
