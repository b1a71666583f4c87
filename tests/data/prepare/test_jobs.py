"""One label map: made, kept if it is whole, made again if it is not, or faulty with a reason."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.index import IndexEntry
from ahs_seg.data.prepare.jobs import Make, PrepareTask, encode_labels, image_size, inspect, run_task
from ahs_seg.errors import SampleError
from ahs_seg.io.images import read_labels

SPEC = find_spec("ade20k-150")
NAME = "ADE_val_00000001"
VALUES = np.array([[0, 1, 255], [149, 2, 3]], np.uint8)


def values() -> np.ndarray:
    return VALUES


def nothing() -> None:
    return None


def wrong_class() -> np.ndarray:
    return np.full((2, 3), 200, np.uint8)


def wrong_size() -> np.ndarray:
    return np.zeros((3, 3), np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = SPEC.image_path(tmp_path, NAME)
    path.parent.mkdir(parents=True)
    Image.new("RGB", (3, 2)).save(path)
    return tmp_path


def task(root: Path, make: Make | None = values, known: IndexEntry | None = None) -> PrepareTask:
    return PrepareTask(SPEC, root, NAME, make, known)


def test_a_label_map_is_made_once_and_kept(root: Path) -> None:
    made = run_task(task(root))
    assert (made.state, made.reason) == ("made", "")
    assert made.entry is not None
    assert (made.entry.height, made.entry.width) == (2, 3)
    assert read_labels(SPEC.label_path(root, NAME)).tolist() == VALUES.tolist()
    for known in (None, made.entry):
        assert run_task(task(root, known=known)) == made._replace(state="kept")


def test_a_damaged_label_map_is_made_again(root: Path) -> None:
    made = run_task(task(root))
    path = SPEC.label_path(root, NAME)
    for known in (None, made.entry):
        path.write_bytes(path.read_bytes()[:40])
        assert run_task(task(root, known=known)).state == "made"
    path.write_bytes(encode_labels(np.zeros((2, 3), np.uint8), ".png"))
    assert run_task(task(root, known=made.entry)).state == "made"  # sound, but not the one of the index


def test_what_the_original_leaves_out_is_left_out(root: Path) -> None:
    found = run_task(task(root, make=nothing))
    assert (found.state, found.entry) == ("left out", None)
    assert "as in the original" in found.reason


@pytest.mark.parametrize(("make", "message"), [(wrong_class, "200"), (wrong_size, "3x2, its annotation 3x3")])
def test_what_cannot_be_is_a_fault_with_its_reason(root: Path, make: Make, message: str) -> None:
    found = run_task(task(root, make=make))
    assert found.state == "faulty"
    assert message in found.reason
    assert not SPEC.label_path(root, NAME).exists()


def test_without_a_maker_the_label_map_must_be_there(root: Path) -> None:
    assert run_task(task(root, make=None)).state == "faulty"
    run_task(task(root))
    assert run_task(task(root, make=None)).entry == inspect(SPEC, root, NAME)


def test_sizes_are_those_of_upright_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 4)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGB", (5, 4)).save(tmp_path / "plain.jpg")
    assert image_size(tmp_path / "turned.jpg") == (5, 4)
    assert image_size(tmp_path / "plain.jpg") == (4, 5)
    with pytest.raises(SampleError, match=r"missing\.jpg: no such"):
        image_size(tmp_path / "missing.jpg")


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", b"\xff\xd8\xff\xe0 cut off"])
def test_a_file_that_is_no_image_costs_itself(root: Path, content: bytes) -> None:
    path = SPEC.image_path(root, NAME)
    path.write_bytes(content)
    found = run_task(task(root))
    assert (found.state, found.entry) == ("faulty", None)
    assert str(path) in found.reason
    assert "Unpack the archive of the images again" in found.reason


def test_sixteen_bits_survive_in_a_tiff(tmp_path: Path) -> None:
    labels = np.array([[0, 846, 65535]], np.uint16)
    (tmp_path / "a.tif").write_bytes(encode_labels(labels, ".tif"))
    assert read_labels(tmp_path / "a.tif").tolist() == labels.tolist()
