from __future__ import annotations

import builtins
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from ahs_seg.data.prepare.pickles import PickleError, read_pickled_mapping, texts_of

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
