"""PASCAL-Context-459 from a miniature of its original layout."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from ahs_seg.data.catalog import find_spec, open_benchmark
from ahs_seg.data.prepare import PrepareError, pascal_context_459
from ahs_seg.data.prepare.pascal_context_459 import convert
from ahs_seg.errors import SampleError
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored
from tests.support.traced import allocating_at_most


def test_pascal_context_459(tmp_path):
    maps = {
        "2008_000002": np.array([[1, 459, 2], [0, 434, 1]], np.uint16),
        "2008_000003": np.array([[5], [1]], np.uint16),
        "2099_000001": np.array([[1]], np.uint16),  # not of the validation list
    }
    root = miniature.context459(tmp_path, maps)
    summary = prepare("pascal-context-459", root)
    assert summary.made == 2
    assert len(summary.left_out) == 5102
    assert "no 2008_000007.mat in" in summary.left_out["2008_000007"]
    assert "left out: 5092 more, listed in the index" in str(summary)
    assert stored("pascal-context-459", root) == {
        "2008_000002": [[0, 458, 1], [459, 433, 0]],
        "2008_000003": [[4], [0]],
    }
    dataset = open_benchmark("pascal-context-459", root)
    assert dataset[0].labels.tolist() == [[0, 458, 1], [IGNORE, 433, 0]]
    with Image.open(find_spec("pascal-context-459").label_path(root, "2008_000002")) as image:
        assert image.mode == "I;16"


def test_pascal_context_459_reads_the_originals_wrapped_zero(tmp_path):
    root = miniature.context459(tmp_path, {"2008_000002": np.array([[1, 2]], np.uint16)})
    path = find_spec("pascal-context-459").label_path(root, "2008_000002")
    path.parent.mkdir(parents=True)
    Image.fromarray(np.array([[65535, 458]], np.uint16)).save(path)
    assert open_benchmark("pascal-context-459", root)[0].labels.tolist() == [[IGNORE, 458]]


@pytest.mark.parametrize(
    "values", [np.array([[460]], np.uint16), np.array([[0.5]]), np.zeros((1, 1, 2), np.uint8), np.array([[-1]])]
)
def test_pascal_context_459_maps_that_are_none(tmp_path, values):
    fine = np.array([[1]], np.uint16)
    root = miniature.context459(tmp_path, {"2008_000002": fine, "2008_000003": fine})
    scipy.io.savemat(root / "VOCdevkit/VOC2010/trainval/2008_000003.mat", {"LabelMap": values})
    (root / "VOCdevkit/VOC2010/trainval/2008_000007.mat").write_bytes(b"no MATLAB file at all")
    summary = prepare("pascal-context-459", root)
    assert summary.made == 1
    assert "not a map of values 0..459" in summary.faulty["2008_000003"]
    assert "no LabelMap can be read" in summary.faulty["2008_000007"]


def test_pascal_context_459_names_of_the_release_must_agree(tmp_path):
    root = miniature.context459(tmp_path, {"2008_000002": np.array([[1]], np.uint16)})
    labels = find_spec("pascal-context-459").words().labels
    lines = [f"{number}: {label}" for number, label in enumerate(labels, start=1)]
    (root / "VOCdevkit/VOC2010/labels.txt").write_text("\n".join(lines))
    assert prepare("pascal-context-459", root).made == 1
    lines[1], lines[2] = "2: accordion", "3: aeroplane"
    (root / "VOCdevkit/VOC2010/labels.txt").write_text("\n".join(lines))
    with pytest.raises(PrepareError, match="class 2 is 'accordion' there, expected is 'aeroplane'"):
        prepare("pascal-context-459", root)


def matlab(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"LabelMap": values}, **options)
    return buffer.getvalue()


def packed(element: bytes) -> bytes:
    """A MATLAB file of one compressed element."""
    content = zlib.compress(element, 9)
    return matlab(np.zeros((1, 1), np.uint8))[:128] + struct.pack("<II", 15, len(content)) + content


def element_of(rows: int, columns: int, size: int) -> bytes:
    """A matrix called LabelMap of uint16 that states a shape, with values of `size` bytes."""
    shape, name = struct.pack("<IIii", 5, 8, rows, columns), struct.pack("<II8s", 1, 8, b"LabelMap")
    body = struct.pack("<IIII", 6, 8, 11, 0) + shape + name + struct.pack("<II", 4, size) + bytes(size)
    return struct.pack("<II", 14, len(body)) + body


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
def test_all_forms_of_a_matlab_file_are_read(tmp_path, options):
    (tmp_path / "a.mat").write_bytes(matlab(np.array([[1, 459], [0, 2]], np.uint16), **options))
    assert convert(tmp_path / "a.mat").tolist() == [[0, 458], [459, 1]]


def test_a_matlab_file_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pascal_context_459, "MAX_MATLAB_BYTES", 2**22)
    (tmp_path / "a.mat").write_bytes(packed(element_of(1, 1, 2**24)))
    assert (tmp_path / "a.mat").stat().st_size < 2**15
    with allocating_at_most(2**23), pytest.raises(SampleError, match="more than 4,194,304 bytes"):
        convert(tmp_path / "a.mat")


@pytest.mark.parametrize("element", [element_of(100_000, 100_000, 2), element_of(7, 3, 6)], ids=["huge", "unlike"])
def test_a_stated_shape_is_no_memory(tmp_path, element):
    (tmp_path / "a.mat").write_bytes(packed(element))
    with allocating_at_most(2**23), pytest.raises(SampleError, match="LabelMap"):
        convert(tmp_path / "a.mat")


@pytest.mark.parametrize("values", [{"a": 1}, np.array([1, "a"], object), "text", np.eye(3, dtype=bool)])
def test_other_kinds_of_variables_are_named_without_opening_them(tmp_path, values):
    (tmp_path / "a.mat").write_bytes(matlab(values))
    with pytest.raises(SampleError, match=r"LabelMap is of the MATLAB class (struct|cell|char|logical)"):
        convert(tmp_path / "a.mat")


@pytest.mark.parametrize("options", [{}, {"do_compression": True}])
def test_damaged_matlab_files_are_a_message(tmp_path, options):
    original = matlab(np.arange(400, dtype=np.uint16).reshape(20, 20), **options)
    random = np.random.default_rng(0)
    path = tmp_path / "a.mat"
    for _ in range(150):
        damaged = bytearray(original)
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged[: random.integers(1, len(damaged) + 1)])
        with suppress(SampleError):
            assert convert(path).dtype == np.uint16


def test_every_variable_of_a_matlab_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(pascal_context_459, "MAX_MATLAB_BYTES", 2**22)
    small = element_of(1, 1, 64)
    second = packed(element_of(1, 1, 2**24))[128:]
    (tmp_path / "a.mat").write_bytes(packed(small) + second)
    with pytest.raises(SampleError, match="more than 4,194,304 bytes"):
        convert(tmp_path / "a.mat")


def test_the_limit_of_a_matlab_file_is_what_it_has_and_unpacks_to_together(tmp_path, monkeypatch):
    element = element_of(1, 1, 2**20)
    path = tmp_path / "a.mat"
    path.write_bytes(packed(element))
    assert pascal_context_459.MAX_MATLAB_BYTES == 64 * 1024 * 1024
    monkeypatch.setattr(pascal_context_459, "MAX_MATLAB_BYTES", path.stat().st_size + len(element) - 1)
    with pytest.raises(SampleError, match="more than"):
        convert(path)
    monkeypatch.setattr(pascal_context_459, "MAX_MATLAB_BYTES", path.stat().st_size + len(element))
    with pytest.raises(SampleError, match="LabelMap"):  # as it has more values than its shape
        convert(path)
