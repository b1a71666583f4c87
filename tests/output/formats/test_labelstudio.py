"""Codes of masks and tasks are held to Label Studio's own SDK: its decoder reads them, its schema accepts them."""

import json
import re
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface.interface import LabelInterface
from packaging.version import Version

from ahs_seg.output.formats import open_format
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item

SDK = Version(metadata.version("label-studio-sdk"))


def mask_of(code: list[int], height: int, width: int) -> np.ndarray:
    channels = decode_rle(code).reshape(height, width, 4)
    assert (channels == channels[..., :1]).all()
    assert set(np.unique(channels)) <= {0, 255}
    return channels[..., 3] == 255


def test_tasks_and_interface(tmp_path: Path):
    exporter = open_format("labelstudio", tmp_path, WORDS)
    exporter.start()
    images = {"street one/ü": blobs(1, unknown=True), "b": blobs(2)}
    for name, labels in images.items():
        exporter.add(item(name, labels, source=Path(f"photos/{name}.jpg")))
    tasks_file, interface_file = exporter.finish()
    view = ElementTree.parse(interface_file).getroot()
    (image,), (brush,) = view.findall("Image"), view.findall("BrushLabels")
    assert [label.get("value") for label in brush] == WORDS.labels
    tasks = json.loads(tasks_file.read_text(encoding="utf-8"))
    addresses = [task["data"][image.get("value", "")[1:]] for task in tasks]
    assert addresses == ["/data/local-files/?d=b.jpg", "/data/local-files/?d=street%20one/%C3%BC.jpg"]
    schema = LabelInterface(interface_file.read_text(encoding="utf-8"))
    schema.validate()
    ids = set()
    for task, labels in zip(tasks, (images["b"], images["street one/ü"]), strict=True):
        (prediction,) = task["predictions"]
        if Version("2.0.11") <= SDK:  # earlier ones take any mask for a label that is not in the interface
            assert schema.validate_prediction(prediction, return_errors=True) == []
        assert prediction["score"] == 0.75
        assert prediction["model_version"].startswith("AHS-Seg")
        for region in prediction["result"]:
            assert (region["type"], region["to_name"]) == ("brushlabels", image.get("name"))
            assert region["from_name"] == brush.get("name")
            assert (region["original_height"], region["original_width"]) == labels.shape
            assert region["image_rotation"] == 0
            assert region["value"]["format"] == "rle"
            (name,) = region["value"]["brushlabels"]
            assert np.array_equal(mask_of(region["value"]["rle"], *labels.shape), labels == WORDS.labels.index(name))
            assert re.fullmatch("[0-9a-f]{10}", region["id"])
            ids.add(region["id"])
    assert len(ids) == 6


def test_background_is_not_painted(tmp_path: Path):
    words = Vocabulary.parse("cat").with_background(["wall"])
    exporter = open_format("labelstudio", tmp_path, words)
    exporter.start()
    exporter.add(item("x", [[0, 1]], words))
    tasks_file, interface_file = exporter.finish()
    (task,) = json.loads(tasks_file.read_text())
    assert [one["value"]["brushlabels"] for one in task["predictions"][0]["result"]] == [["cat"]]
    assert [label.get("value") for label in ElementTree.parse(interface_file).iter("Label")] == ["cat"]
