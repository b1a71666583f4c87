from __future__ import annotations

import builtins
import os
import pickle
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest

from ahs_seg.data.prepare import pickles
from ahs_seg.data.prepare.pickles import PickleError, read_pickled_mapping, texts_of
from tests.support.traced import allocating_at_most

RAN: list[str] = []


class Runs:
    """Unpickling it the usual way calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write(path, value, protocol=None):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_texts_and_lists_are_read_and_arrays_passed_over(tmp_path, protocol):
    value = {
        "filename": ["a.jpg", "b.jpg"],
        "folder": np.array(["x", "y"], object),
        "objectPresence": np.arange(12.0).reshape(3, 4),
        "scalar": np.float32(1.5),
        "names": np.array(["wall", "sky"]),
    }
    path = write(tmp_path / "index.pkl", value, protocol)
    mapping = read_pickled_mapping(path)
    assert list(mapping) == list(value)
    assert texts_of(mapping, "filename", path) == ["a.jpg", "b.jpg"]
    assert texts_of(mapping, "folder", path) == ["x", "y"]
    assert not isinstance(mapping["objectPresence"], np.ndarray)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Runs(os.system, "touch hacked"), f"{os.name}.system"),
        (Runs(builtins.eval, "__import__('os').mkdir('hacked')"), r"(builtins|__builtin__)\.eval"),
        (Runs(builtins.getattr, "x", "upper"), r"(builtins|__builtin__)\.getattr"),
        (Runs(RAN.append, "x"), r"(builtins|__builtin__)\.getattr"),
        (OrderedDict(a=1), r"collections\.OrderedDict"),
        (np.load, r"numpy\.load"),
    ],
)
def test_anything_else_is_refused_by_name_without_running(tmp_path, monkeypatch, protocol, hostile, name):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "index.pkl", {"filename": ["a"], "folder": ["b"], "x": hostile}, protocol)
    with pytest.raises(PickleError, match=rf"asks for {name} and is refused; nothing of it was run"):
        read_pickled_mapping(path)
    assert [each.name for each in tmp_path.iterdir()] == ["index.pkl"]
    assert not RAN


HOSTILE_BYTES = [
    b"cos\nsystem\n(S'touch hacked'\ntR.",
    b"cposix\nsystem\n(S'touch hacked'\ntR.",
    b"(S'touch hacked'\nios\nsystem\n.",  # INST
    b"cnumpy\nndarray\n(S'__class__'\nS'x'\ntb.",  # BUILD on the stand-in itself
    b"cnumpy\nndarray.__reduce__\n.",  # a way through attributes
    b"cnumpy\nos.system\n(S'touch hacked'\ntR.",
    b"\x80\x02\x82\x01.",  # extension registry
    b"Ppersistent\n.",
    b"(lp0\n",
    b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
    b"",
    b"no pickle",
]


@pytest.mark.parametrize("content", HOSTILE_BYTES)
def test_hand_written_pickles(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "index.pkl").write_bytes(content)
    with pytest.raises(PickleError, match=r"index\.pkl (asks for|is damaged|holds a)"):
        read_pickled_mapping(tmp_path / "index.pkl")
    assert [each.name for each in tmp_path.iterdir()] == ["index.pkl"]


def test_other_content_is_named(tmp_path):
    path = write(tmp_path / "index.pkl", ["filename"])
    with pytest.raises(PickleError, match="holds a list"):
        read_pickled_mapping(path)
    path = write(tmp_path / "index.pkl", {"folder": [1, 2], "other": []})
    mapping = read_pickled_mapping(path)
    with pytest.raises(PickleError, match=r"no list of strings called 'filename' \(columns folder, other\)"):
        texts_of(mapping, "filename", path)
    with pytest.raises(PickleError, match=r"called 'folder' \(list there\)"):
        texts_of(mapping, "folder", path)


NESTED = b"\x80\x02N" + b"\x85" * 2_000_000  # a tuple in a tuple in a tuple ...; its hash would end the process
CLAIMS = [
    (b"\x80\x02]r" + (2**28).to_bytes(4, "little") + b".", r"claims place 268,435,456 of the memo after 2 operations"),
    (b"(lp268435456\n.", r"claims place 268,435,456 of the memo"),
    (b"\x80\x02}" + NESTED[2:] + b"K\x01s.", "more than 100 containers inside one another"),
    (NESTED + b"0}.", "more than 100 containers inside one another"),
    (b"\x80\x04}\x8c\x01a" + b"\x8e" + (2**40).to_bytes(8, "little") + b"xs.", "is damaged"),
    (b"\x80\x05}\x8c\x01a" + b"\x96" + (2**40).to_bytes(8, "little") + b"xs.", "is damaged"),
    (b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"}.", "is damaged"),
    (b"0.", "is damaged"),
    (b"\x80\x02h\x05.", "is damaged"),
    (b"I" + b"9" * 100_000 + b"\n.", "is damaged"),
]


@pytest.mark.parametrize("number", range(len(CLAIMS)))
def test_claims_are_compared_before_memory_is_asked_for(tmp_path, number):
    content, message = CLAIMS[number]
    (tmp_path / "index.pkl").write_bytes(content)
    with allocating_at_most(2**24), pytest.raises(PickleError, match=message):
        read_pickled_mapping(tmp_path / "index.pkl")


def test_records_that_are_shared_again_and_again_are_not_expanded(tmp_path):
    shared: list[object] = ["x"]
    for _ in range(60):
        shared = [shared, shared]
    path = write(tmp_path / "index.pkl", {"filename": ["a.jpg"], "other": shared})
    with allocating_at_most(2**22), pytest.raises(PickleError, match="describes more than 20,000,000 values"):
        read_pickled_mapping(path)


def test_a_tuple_that_is_shared_again_and_again_is_not_hashed(tmp_path):
    content = b"\x80\x02}N" + b"2\x86" * 60 + b"K\x01s."  # the key is a tuple of a tuple, twice, ...
    (tmp_path / "index.pkl").write_bytes(content)
    with pytest.raises(PickleError, match="describes more than 20,000,000 values"):
        read_pickled_mapping(tmp_path / "index.pkl")


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = write(tmp_path / "index.pkl", {"filename": ["a.jpg"] * 100})
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 20)
    with pytest.raises(PickleError, match="has more than 20 operations and is refused"):
        read_pickled_mapping(path)
    monkeypatch.setattr(pickles, "MAX_INDEX_BYTES", 20)
    with pytest.raises(PickleError, match="bytes and is refused; allowed are 20"):
        read_pickled_mapping(path)


def test_flipped_bytes_end_in_a_message_or_a_mapping(tmp_path):
    path = write(tmp_path / "index.pkl", {"filename": ["a.jpg", "b.jpg"], "x": np.arange(3.0), "t": (1, (2, "c"))}, 4)
    original, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(original)
        damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
        path.write_bytes(damaged)
        with suppress(PickleError):
            assert isinstance(read_pickled_mapping(path), dict)
