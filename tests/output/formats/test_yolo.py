"""The rows are read by the rules of https://docs.ultralytics.com/datasets/segment, and by a reader of others."""

from pathlib import Path

import numpy as np
import pytest
import supervision
import yaml
from PIL import Image

from ahs_seg.io.images import read_image
from ahs_seg.output.formats import open_format
from ahs_seg.output.formats.base import FormatError
from ahs_seg.output.formats.polygons import keyhole, mask_to_polygons
from ahs_seg.output.formats.yolo import YoloFormat, check_beside
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item, made
from tests.support.rings import winding


def drawn(text: str, shape: tuple[int, int], classes: int) -> np.ndarray:
    """The label map that rows stand for; every row has a class, and at least three corners within the image."""
    labels = np.full(shape, IGNORE)
    for line in text.splitlines():
        number, *parts = line.split()
        corners = np.array([float(part) for part in parts]).reshape(-1, 2)
        assert int(number) in range(classes)
        assert len(corners) >= 3
        assert corners.min() >= 0
        assert corners.max() <= 1
        inside = winding(corners * (shape[1], shape[0]), shape) == 1
        assert (labels[inside] == IGNORE).all()
        labels[inside] = int(number)
    return labels


@pytest.mark.parametrize("seed", range(4))
def test_filled_rows_are_the_label_map(seed, tmp_path: Path):
    labels = blobs(seed, unknown=seed > 1)
    made(labels).save(tmp_path / "one.txt")
    assert np.array_equal(drawn((tmp_path / "one.txt").read_text(), labels.shape, 3), labels)


def test_a_run_is_a_data_set(tmp_path: Path):
    photo = tmp_path / "photo.jpg"
    Image.fromarray(made(blobs(1)).image).save(photo, quality=60)
    exporter = open_format("yolo", tmp_path / "out", WORDS)
    exporter.start()
    exporter.add(item("images/train/a.b", blobs(1), source=photo))
    exporter.add(item("frame", blobs(2)))
    assert exporter.has(Path("images/train/a.b"))
    assert not exporter.has(Path("other"))
    (described,) = exporter.finish()
    data = yaml.safe_load(described.read_text(encoding="utf-8"))
    assert data["names"] == dict(enumerate(WORDS.labels))
    images = sorted(path for path in (described.parent / data["train"]).rglob("*") if path.is_file())
    assert [path.relative_to(described.parent).as_posix() for path in images] == [
        "images/frame.png",
        "images/images_/train/a.b.jpg",
    ]
    for path, seed in zip(images, (2, 1), strict=True):
        before, _, after = path.as_posix().rpartition("/images/")  # how YOLO finds the labels of an image
        rows = Path(f"{before}/labels/{after}").with_suffix(".txt").read_text()
        assert np.array_equal(drawn(rows, (23, 31), 3), blobs(seed))
    assert images[1].read_bytes() == photo.read_bytes()
    assert np.array_equal(read_image(images[0]), made(blobs(2)).image)


def test_no_two_names_become_one(tmp_path: Path):
    exporter = open_format("yolo", tmp_path, WORDS)
    for seed, name in enumerate(("x", "images/x", "images_/x", "images__/x")):
        exporter.add(item(name, blobs(seed)))
    assert len(list((tmp_path / "labels").rglob("*.txt"))) == len(list((tmp_path / "images").rglob("*.png"))) == 4


def test_images_that_yolo_does_not_read_are_written_as_png(tmp_path: Path):
    image = made(blobs(1)).image
    Image.fromarray(image).save(tmp_path / "scan.ppm")
    open_format("yolo", tmp_path / "out", WORDS).add(item("scan", blobs(1), source=tmp_path / "scan.ppm"))
    (written,) = (tmp_path / "out/images").iterdir()
    assert written.name == "scan.png"
    assert np.array_equal(read_image(written), image)


def test_another_reader_finds_the_same_objects(tmp_path: Path):
    """It draws outlines with their border, so its masks are up to a pixel wider."""
    labels = blobs(2).repeat(20, 0).repeat(20, 1)
    exporter = open_format("yolo", tmp_path, WORDS)
    exporter.add(item("a", labels))
    (described,) = exporter.finish()
    images, texts = str(tmp_path / "images"), str(tmp_path / "labels")
    found = supervision.DetectionDataset.from_yolo(images, texts, str(described), force_masks=True)
    assert found.classes == WORDS.labels
    ((_, _, objects),) = list(found)
    for label in range(3):
        mask, ours = np.asarray(objects.mask)[objects.class_id == label].any(0), labels == label
        assert not (ours & ~mask).any()
        assert (mask & ~ours).sum() <= 0.1 * ours.sum()


def test_background_has_no_rows_and_no_number(tmp_path: Path):
    words = Vocabulary.parse({"cat": "cat", "background": ["wall", "floor"], "dog": "dog"})
    exporter = open_format("yolo", tmp_path, words)
    exporter.add(item("x", [[0, 1, 2]], words))
    assert yaml.safe_load(exporter.finish()[0].read_text())["names"] == {0: "cat", 1: "dog"}
    rows = (tmp_path / "labels/x.txt").read_text().splitlines()
    assert sorted(row.split()[0] for row in rows) == ["0", "1"]


def test_a_hole_is_cut_open():
    mask = np.ones((5, 7), bool)
    mask[2, 3] = False
    (polygon,) = mask_to_polygons(mask)
    assert keyhole(polygon).tolist() == [
        *([0, 0], [7, 0], [7, 5], [0, 5]),
        *([0, 2], [3, 2], [3, 3], [4, 3], [4, 2], [3, 2], [0, 2]),
    ]


def test_what_is_forgotten_is_gone_and_nothing_else(tmp_path: Path):
    exporter = YoloFormat(tmp_path, WORDS)
    for name in ("a", "a.b"):
        exporter.add(item(name, blobs(1)))
    (tmp_path / "images" / "a.md").touch()
    exporter.forget(Path("a"))
    exporter.forget(Path("x" * 300))
    assert not exporter.has(Path("a"))
    assert exporter.has(Path("a.b"))
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"a.b.png", "a.md"}


def test_images_of_other_formats_do_not_lie_among_its_own():
    check_beside(["yolo", "npz"], ["a", "Images/b"])
    check_beside(["yolo", "png"], ["a", "deep/images/b"])
    for formats, told in ((["yolo", "png"], "png"), (["overlay", "yolo", "geotiff"], "overlay and geotiff")):
        with pytest.raises(FormatError, match=rf"^Images/b: {told} would write into the folder images"):
            check_beside(formats, iter(["a", "Images/b"]))
