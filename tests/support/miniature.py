"""The originals' layouts with a few tiny images; every array is written out in the test that uses it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare import PrepareSummary, find_preparation
from ahs_seg.io.images import read_labels

ADE150 = [[0, 1, 2], [150, 75, 0]]
ADE150_LABELS = [[255, 0, 1], [149, 74, 255]]


def write_image(path: Path, height: int, width: int, colour: tuple[int, int, int] = (90, 120, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)
    return path


def grey(path: Path, values: list[list[int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)
    return path


def palette(path: Path, values: list[list[int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(values, np.uint8), "P")
    image.putpalette([k * 37 % 256 for k in range(768)])
    image.save(path)
    return path


def ade150(root: Path, count: int = 2) -> Path:
    folder = root / "ADEChallengeData2016"
    for number in range(1, count + 1):
        write_image(folder / f"images/validation/ADE_val_{number:08}.jpg", 2, 3)
        grey(folder / f"annotations/validation/ADE_val_{number:08}.png", ADE150)
    write_image(folder / "images/training/ADE_train_00000001.jpg", 2, 3)
    grey(folder / "annotations/training/ADE_train_00000001.png", ADE150)
    return root


def ade847(root: Path, names: dict[str, tuple[np.ndarray, np.ndarray]], **columns: Any) -> Path:
    """`names`: image and segmentation (RGB) for each; written where the index says, in a folder of a scene."""
    base = "ADE20K_2021_17_01"
    folder = f"{base}/images/ADE/validation/urban/street"
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, (pixels, segmentation) in names.items():
        Image.fromarray(pixels).save(root / folder / f"{name}.jpg", quality=95)
        Image.fromarray(segmentation).save(root / folder / f"{name}_seg.png")
    train = f"{base}/images/ADE/training/urban/street"
    index = {
        "filename": ["ADE_train_00000001.jpg", *(f"{name}.jpg" for name in names)],
        "folder": [train, *([folder] * len(names))],
        "objectPresence": np.ones((5, 3)),
        "objectIsPart": np.float64(0.5),
        "description": {"filename": "array of length N"},
    }
    (root / base / "index_ade20k.pkl").write_bytes(pickle.dumps(index | columns))
    return root


def context459(root: Path, maps: dict[str, np.ndarray]) -> Path:
    folder = root / "VOCdevkit/VOC2010"
    (folder / "trainval").mkdir(parents=True, exist_ok=True)
    for name, values in maps.items():
        write_image(folder / f"JPEGImages/{name}.jpg", *values.shape)
        scipy.io.savemat(folder / f"trainval/{name}.mat", {"LabelMap": values})
    return root


def context59(root: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Path:
    folder = root / "VOCdevkit/VOC2010"
    for image in images:
        write_image(folder / "JPEGImages" / str(image["file_name"]), image["height"], image["width"])
    content = {"images": images, "annos_segmentation": annotations, "categories": []}
    (folder / "trainval_merged.json").write_text(json.dumps(content))
    return root


def voc(root: Path, masks: dict[str, list[list[int]]]) -> Path:
    folder = root / "VOCdevkit/VOC2012"
    for name, values in masks.items():
        write_image(folder / f"JPEGImages/{name}.jpg", len(values), len(values[0]))
        palette(folder / f"SegmentationClassAug/{name}.png", values)
    write_image(folder / "JPEGImages/2007_000001.jpg", 2, 2)
    lists = folder / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(masks) + "\n")
    (lists / "train.txt").write_text("2007_000001\n")
    return root


def coco(root: Path, split: str, maps: dict[str, list[list[int]]]) -> Path:
    for name, values in maps.items():
        write_image(root / f"coco-stuff/images/{split}/{name}.jpg", len(values), len(values[0]))
        grey(root / f"coco-stuff/annotations/{split}/{name}.png", values)
    return root


def prepare(name: str, root: Path, **options: Any) -> PrepareSummary:
    return find_preparation(name).run(root, **{"workers": 1, "progress": False} | options)


def stored(name: str, root: Path) -> dict[str, list[list[int]]]:
    """What the label files of a prepared data set hold, by name."""
    spec = find_spec(name)
    return {each: read_labels(spec.label_path(root, each)).tolist() for each in spec.label_names(root)}


NAME = "ade20k-150"

SPEC = find_spec(NAME)

FOLDER = "ADEChallengeData2016"


def times(root: Path) -> dict[str, int]:
    return {name: SPEC.label_path(root, name).stat().st_mtime_ns for name in SPEC.label_names(root)}
