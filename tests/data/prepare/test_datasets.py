"""Each data set from a miniature of its original layout, every pixel compared with what was worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.catalog import find_spec, open_benchmark
from ahs_seg.data.prepare import PrepareError
from ahs_seg.data.prepare.resize import shrink_bilinear, shrink_nearest
from ahs_seg.io.images import read_image
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored


def test_ade20k_150(tmp_path):
    root = miniature.ade150(tmp_path)
    summary = prepare("ade20k-150", root)
    assert (summary.made, summary.kept, summary.faulty) == (2, 0, {})
    expected = [[255, 0, 1], [149, 74, 255]]
    assert stored("ade20k-150", root) == {"ADE_val_00000001": expected, "ADE_val_00000002": expected}
    dataset = open_benchmark("ade20k-150", root)
    assert isinstance(dataset, SegmentationDataset)
    assert dataset[1].name == "ADE_val_00000002"
    assert dataset[0].labels.tolist() == [[IGNORE, 0, 1], [149, 74, IGNORE]]
    assert dataset.vocabulary.labels[149] == "flag"


def test_ade20k_150_values_that_do_not_exist_cost_that_picture(tmp_path):
    root = miniature.ade150(tmp_path)
    miniature.grey(root / "ADEChallengeData2016/annotations/validation/ADE_val_00000002.png", [[151, 0, 0]] * 2)
    summary = prepare("ade20k-150", root)
    assert list(summary.faulty) == ["ADE_val_00000002"]
    assert "value 151" in summary.faulty["ADE_val_00000002"]
    assert list(stored("ade20k-150", root)) == ["ADE_val_00000001"]


def segmentation(objects: np.ndarray) -> np.ndarray:
    """RGB as the release writes it: R = 10 * (index // 256) plus noise below 10, G = index % 256, B the instance."""
    red = objects // 256 * 10 + np.arange(objects.size).reshape(objects.shape) % 10
    return np.stack([red, objects % 256, np.full_like(objects, 77)], -1).astype(np.uint8)


def test_ade20k_847_decodes_objects(tmp_path):
    # 2978 wall -> 0, 312 building -> 1, 3 is no class of the 847, 0 is nothing, 57 -> 29, 2131 road -> 4
    objects = np.array([[2978, 312, 0], [3, 57, 2131]])
    pixels = np.full((2, 3, 3), 100, np.uint8)
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": (pixels, segmentation(objects))})
    summary = prepare("ade20k-847", root)
    assert (summary.made, summary.faulty) == (1, {})
    assert stored("ade20k-847", root) == {"ADE_val_00000001": [[0, 1, 65535], [65535, 29, 4]]}
    dataset = open_benchmark("ade20k-847", root)
    assert dataset[0].labels.tolist() == [[0, 1, IGNORE], [IGNORE, 29, 4]]
    assert dataset[0].image.shape == (2, 3, 3)


def test_ade20k_847_is_shrunk_to_512(tmp_path):
    rows, columns, channels = np.mgrid[0:768, 0:1000, 0:3]
    pixels = ((rows // 8 + columns // 8 * 3) % 200 + channels).astype(np.uint8)
    objects = np.where(columns[..., 0] < 500, 2978, np.where(rows[..., 0] < 384, 312, 2420))
    root = miniature.ade847(tmp_path, {"ADE_val_00000007": (pixels, segmentation(objects))})
    prepare("ade20k-847", root)
    sample = open_benchmark("ade20k-847", root)[0]
    assert sample.image.shape == (512, 667, 3)  # round(1000 / 768 * 512) = 667
    # column c comes from floor(c * 1000 / 667): 333 -> 499, 334 -> 500; row r from floor(r * 1.5): 255 -> 382
    assert (sample.labels[:, :334] == 0).all()
    assert (sample.labels[:256, 334:] == 1).all()
    assert (sample.labels[256:, 334:] == 2).all()
    original = read_image(root / "ADE20K_2021_17_01/images/ADE/validation/urban/street/ADE_val_00000007.jpg")
    difference = np.abs(sample.image.astype(int) - shrink_bilinear(original, 512, 667))
    assert difference.mean() < 3  # saved again as JPEG
    raw = stored("ade20k-847", root)["ADE_val_00000007"]
    assert np.array_equal(raw, shrink_nearest(np.select([objects == 2978, objects == 312], [0, 1], 2), 512, 667))


def test_ade20k_847_reads_an_index_of_arrays(tmp_path):
    street = "ADE20K_2021_17_01/images/ADE/validation/urban/street"
    columns = {
        "filename": np.array(["ADE_val_00000001.jpg"], object),
        "folder": np.array([street], object),
    }
    one = (np.zeros((2, 2, 3), np.uint8), segmentation(np.full((2, 2), 312)))
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": one}, **columns)
    prepare("ade20k-847", root)
    assert stored("ade20k-847", root) == {"ADE_val_00000001": [[1, 1], [1, 1]]}


def test_ade20k_847_index_that_leads_elsewhere(tmp_path):
    one = (np.zeros((2, 2, 3), np.uint8), segmentation(np.full((2, 2), 312)))
    root = miniature.ade847(tmp_path, {"ADE_val_00000001": one}, folder=["x", "../../etc"])
    with pytest.raises(PrepareError, match=r"'\.\./\.\./etc/ADE_val_00000001\.jpg' leads outside"):
        prepare("ade20k-847", root)


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
    miniature.scipy.io.savemat(root / "VOCdevkit/VOC2010/trainval/2008_000003.mat", {"LabelMap": values})
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


def test_pascal_context_59(tmp_path):
    size = {"height": 2, "width": 3}
    images = [
        {"image_id": 11, "file_name": "2008_000002.jpg", "phase": "val", **size},
        {"image_id": 12, "file_name": "2008_000003.jpg", "phase": "val", **size},
        {"image_id": 13, "file_name": "2008_000004.jpg", "phase": "train", **size},
    ]
    full, code = [2, 3], {"size": [2, 3], "counts": [0, 6]}
    annotations = [
        {"image_id": 11, "category_id": 2, "segmentation": code},  # aeroplane, 0, everywhere
        {"image_id": 13, "category_id": 9, "segmentation": code},
        {"image_id": 11, "category_id": 458, "segmentation": {"size": full, "counts": "141"}},  # over it: wood, 58
        {"image_id": 11, "category_id": 3, "segmentation": {"size": full, "counts": [0, 1, 5]}},  # not among the 59
        {"image_id": 11, "category_id": 0, "segmentation": {"size": full, "counts": [5, 1]}},  # background
    ]
    root = miniature.context59(tmp_path, images, annotations)
    summary = prepare("pascal-context-59", root)
    assert (summary.made, summary.faulty) == (2, {})
    assert stored("pascal-context-59", root) == {
        "2008_000002": [[255, 58, 58], [58, 58, 255]],
        "2008_000003": [[255, 255, 255], [255, 255, 255]],  # no annotations
    }
    words = open_benchmark("pascal-context-59", root).vocabulary.labels
    assert (words[0], words[58]) == ("aeroplane", "wood")


def test_pascal_context_59_damage(tmp_path):
    images = [{"image_id": k, "file_name": f"{k}.jpg", "phase": "val", "height": 2, "width": 3} for k in (1, 2)]
    annotations = [{"image_id": 2, "category_id": 2, "segmentation": {"size": [2, 2], "counts": [4]}}]
    root = miniature.context59(tmp_path, images, annotations)
    assert "an annotation of 2x2 in a picture of 3x2" in prepare("pascal-context-59", root).faulty["2"]
    path = root / "VOCdevkit/VOC2010/trainval_merged.json"
    path.write_text(json.dumps({"images": images}))
    with pytest.raises(PrepareError, match="not the annotations of PASCAL-Context"):
        prepare("pascal-context-59", root)


MASKS = {"2007_000033": [[0, 1, 20], [255, 15, 0]], "2007_000042": [[0, 255], [255, 0]]}


def test_pascal_voc_20(tmp_path):
    root = miniature.voc(tmp_path, MASKS)
    summary = prepare("pascal-voc-20", root)
    assert summary.made == 1
    assert summary.left_out == {"2007_000042": "no pixel of it is labelled, as in the original"}
    assert stored("pascal-voc-20", root) == {"2007_000033": [[255, 0, 19], [255, 14, 255]]}
    assert len(open_benchmark("pascal-voc-20", root)) == 1


def test_pascal_voc_20b(tmp_path):
    root = miniature.voc(tmp_path, MASKS)
    assert prepare("pascal-voc-20b", root).made == 2
    assert stored("pascal-voc-20b", root) == {
        "2007_000033": [[20, 0, 19], [255, 14, 20]],
        "2007_000042": [[20, 255], [255, 20]],
    }
    dataset = open_benchmark("pascal-voc-20b", root)
    assert dataset.vocabulary.labels[18:] == ["train", "tvmonitor", "background"]
    assert dataset[0].labels.tolist() == [[20, 0, 19], [IGNORE, 14, 20]]


@pytest.mark.parametrize(("name", "split"), [("coco-stuff-171", "val2017"), ("coco-stuff-171-train", "train2017")])
def test_coco_stuff_171(tmp_path, name, split):
    # 10 -> 10, 11 is not used, 12 -> 11, 89 -> 79 (last thing), 90 not used, 91 -> 80 (first stuff), 181 -> 170
    maps = {"000000000139": [[0, 10, 11, 12], [89, 90, 91, 181], [255, 200, 182, 92]]}
    root = miniature.coco(tmp_path, split, maps)
    assert prepare(name, root).made == 1
    expected = [[0, 10, 255, 11], [79, 255, 80, 170], [255, 255, 255, 81]]
    assert stored(name, root) == {"000000000139": expected}
    words = open_benchmark(name, root).vocabulary.labels
    assert (words[0], words[79], words[80]) == ("person", "toothbrush", "banner")


@pytest.mark.parametrize("name", ["ade20k-150", "pascal-context-59"])
def test_sizes_that_differ_cost_that_picture(tmp_path, name):
    if name == "ade20k-150":
        root = miniature.ade150(tmp_path)
        wrong = root / "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg"
    else:
        images = [{"image_id": k, "file_name": f"{k}.jpg", "phase": "val", "height": 2, "width": 3} for k in (1, 2)]
        root = miniature.context59(tmp_path, images, [])
        wrong = root / "VOCdevkit/VOC2010/JPEGImages/1.jpg"
    miniature.picture(wrong, 4, 4)
    summary = prepare(name, root)
    assert summary.made == 1
    assert "picture is 4x4, its annotation 3x2" in next(iter(summary.faulty.values()))
