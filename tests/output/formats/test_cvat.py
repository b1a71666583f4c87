"""The XML is read by the rules of https://docs.cvat.ai/docs/other/xml_format."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ahs_seg.output.formats import open_format
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item

IMAGES = {"b/two": blobs(1, unknown=True), "a": blobs(2, size=(9, 40))}


def exported(folder: Path, words: Vocabulary = WORDS) -> ElementTree.Element:
    exporter = open_format("cvat", folder, words)
    exporter.start()
    for name, labels in IMAGES.items():
        exporter.add(item(name, labels, words, Path(f"photos/{name}.jpg")))
    (path,) = exporter.finish()
    return ElementTree.parse(path).getroot()


def painted(image: ElementTree.Element, labels: list[str]) -> np.ndarray:
    found = np.full((int(image.get("height", "")), int(image.get("width", ""))), -1)
    for mask in image:
        assert mask.tag == "mask"
        left, top, width, height = (int(mask.get(key, "")) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in mask.get("rle", "").split(",")]
        box = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width).astype(bool)
        found[top : top + height, left : left + width][box] = labels.index(mask.get("label", ""))
    return found


def test_the_masks_are_the_label_maps(tmp_path: Path):
    root = exported(tmp_path)
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/mode") == "annotation"
    assert root.findtext("meta/task/size") == "2"
    assert [label.findtext("name") for label in root.iter("label")] == WORDS.labels
    images = root.findall("image")
    assert [(image.get("id"), image.get("name")) for image in images] == [("0", "a.jpg"), ("1", "b/two.jpg")]
    for image, name in zip(images, ("a", "b/two"), strict=True):
        assert np.array_equal(painted(image, WORDS.labels), IMAGES[name])


def test_background_has_no_mask(tmp_path: Path):
    root = exported(tmp_path, Vocabulary.parse("cat, dog").with_background(["wall"]))
    assert [label.findtext("name") for label in root.iter("label")] == ["cat", "dog"]
    assert {mask.get("label") for mask in root.iter("mask")} == {"cat", "dog"}
