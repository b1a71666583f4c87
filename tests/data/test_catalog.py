from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.catalog import CATALOG, CatalogError, find_spec, open_benchmark
from ahs_seg.errors import SampleError
from ahs_seg.types import IGNORE

CLASSES = {
    "ade20k-150": 150,
    "ade20k-847": 847,
    "pascal-context-59": 59,
    "pascal-context-459": 459,
    "pascal-voc-20": 20,
    "pascal-voc-20b": 21,
    "coco-stuff-171": 171,
    "coco-stuff-171-train": 171,
}


def put(name, root, images, labels, dtype=np.uint8):
    spec = find_spec(name)
    for each in images:
        path = spec.image_path(root, each)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 1)).save(path)
    for each, values in labels.items():
        path = spec.label_path(root, each)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(values, dtype)).save(path)
    return root


def names_of(dataset: SegmentationDataset) -> list[str]:
    return [dataset[index].name for index in range(len(dataset))]


def test_benchmarks_and_their_classes():
    assert {spec.name: len(spec.words()) for spec in CATALOG} == CLASSES
    assert find_spec("context_459_test_sem_seg") is find_spec("pascal-context-459")
    with pytest.raises(CatalogError, match="no benchmark is called 'cityscapes'; known are ade20k-150, "):
        find_spec("cityscapes")


def test_names_that_both_sides_have(tmp_path):
    root = put("pascal-voc-20", tmp_path, ["b", "a", "c"], {"a": [[0, 19, 255]], "c": [[1, 1, 1]], "d": [[0, 0, 0]]})
    (root / "VOCdevkit/VOC2012/annotations_detectron2/val/.a.png.draft").touch()
    (root / "VOCdevkit/VOC2012/annotations_detectron2/val/._c.png").touch()
    dataset = open_benchmark("pascal-voc-20", root)
    assert names_of(dataset) == ["a", "c"]
    assert dataset.without_image == ["d"]
    assert dataset[0].labels.tolist() == [[0, 19, IGNORE]]
    assert dataset[0].labels.dtype == np.int32
    assert dataset.name == "pascal-voc-20"


def test_sixteen_bits(tmp_path):
    put("ade20k-847", tmp_path, ["a"], {"a": [[0, 846, 65535]]}, np.uint16)
    assert open_benchmark("ade20k-847", tmp_path)[0].labels.tolist() == [[0, 846, IGNORE]]


@pytest.mark.parametrize(
    ("name", "value", "last"), [("pascal-voc-20", 20, 19), ("pascal-voc-20b", 21, 20), ("ade20k-150", 254, 149)]
)
def test_labels_that_do_not_exist(tmp_path, name, value, last):
    put(name, tmp_path, ["a"], {"a": [[0, value, 1]]})
    with pytest.raises(SampleError, match=rf"a\.png: label value {value}; .* allows 0\.\.{last} and 255"):
        open_benchmark(name, tmp_path)[0]


def test_sizes_that_differ(tmp_path):
    put("ade20k-150", tmp_path, ["a"], {"a": [[0], [1]]})
    with pytest.raises(SampleError, match=r"label map is 1x2, its image 3x1"):
        open_benchmark("ade20k-150", tmp_path)[0]


def test_the_vocabulary_says_the_background_rule():
    spec = find_spec("pascal-voc-20b")
    words = spec.words()
    assert spec.background is not None
    assert words.labels[spec.background] == "background"
    assert [row.class_index for row in words.rows("first")] == [*range(20), *([20] * 39)]


def test_what_is_not_there(tmp_path):
    with pytest.raises(CatalogError, match=r"nothing in .*: ahs-seg data prepare ade20k-150 --root"):
        open_benchmark("ade20k-150", tmp_path)
    put("ade20k-150", tmp_path, [], {"a": [[0]]})
    with pytest.raises(CatalogError, match=r"1 label maps but no image"):
        open_benchmark("ade20k-150", tmp_path)
