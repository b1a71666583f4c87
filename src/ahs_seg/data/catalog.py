"""The benchmarks of the field: where their files lie, what their label values mean, and a dataset of each.

Folders are those of the original preparation scripts of CAT-Seg (and OVSeg, Mask2Former before it), so a tree made by
them is read as it is; `ahs_seg.data.prepare` makes the same tree from the original archives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32, UInt, UInt8

from ahs_seg.data.base import Sample
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.io.images import read_image, read_labels
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary


class CatalogError(AhsSegError, ValueError):
    """A benchmark that is not known, or not there; the message says what is known, or how to prepare it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """One benchmark: its files below a root, its words, and how its scores are counted.

    `images` and `labels` are folders below the root; files are matched by name. `ignore` lists the values of pixels
    that are not scored. `count` is the size of the official split, `registered` the name that the original
    repositories use.

    `background` is the background rule: of the single names (59 in VOC-20b) all from this index on count as this one
    class, after the argmax; scores are never merged. The vocabulary says the same (many names with the label
    "background", of which the best competes), so what predicts its labels needs no further step.
    """

    name: str
    title: str
    vocabulary: str
    images: str
    labels: str
    image_suffix: str = ".jpg"
    label_suffix: str = ".png"
    ignore: tuple[int, ...] = (255,)
    background: int | None = None
    count: int
    registered: str

    def words(self) -> Vocabulary:
        """The classes a model is asked for; they are what is scored."""
        return _known(self.vocabulary)

    def label_path(self, root: Path, name: str) -> Path:
        """Where the label map of a picture lies."""
        return root / self.labels / f"{name}{self.label_suffix}"

    def image_path(self, root: Path, name: str) -> Path:
        """Where a picture lies."""
        return root / self.images / f"{name}{self.image_suffix}"

    def label_names(self, root: Path) -> list[str]:
        """Names of all label maps below the root, sorted."""
        return _names(root / self.labels, self.label_suffix)

    def image_names(self, root: Path) -> list[str]:
        """Names of all pictures below the root, sorted."""
        return _names(root / self.images, self.image_suffix)

    def decode(self, values: UInt[np.ndarray, "H W"], source: str) -> Int32[np.ndarray, "H W"]:
        """Labels, and `IGNORE`, from the values of a file that messages call `source`.

        Raises:
            SampleError: values that are neither.
        """
        classes = len(self.words())
        labels = values.astype(np.int32)
        for value in self.ignore:
            labels[values == value] = IGNORE
        if labels.size and labels.max() >= classes:
            outside = ", ".join(map(str, np.unique(labels[labels >= classes])[:8]))
            ignored = " and ".join(map(str, self.ignore))
            raise SampleError(
                f"{source}: label value {outside}; {self.title} allows 0..{classes - 1} and {ignored} (ignored). "
                f"Make it again: ahs-seg data prepare {self.name} --again."
            )
        return labels


_VOC10 = "VOCdevkit/VOC2010"
_VOC12 = "VOCdevkit/VOC2012"

CATALOG: Final[tuple[DatasetSpec, ...]] = (
    DatasetSpec(
        name="ade20k-150",
        title="ADE20K-150",
        vocabulary="ade20k-150",
        images="ADEChallengeData2016/images/validation",
        labels="ADEChallengeData2016/annotations_detectron2/validation",
        count=2000,
        registered="ade20k_150_test_sem_seg",
    ),
    DatasetSpec(
        name="ade20k-847",
        title="ADE20K-847",
        vocabulary="ade20k-847",
        images="ADE20K_2021_17_01/images_detectron2/validation",
        labels="ADE20K_2021_17_01/annotations_detectron2/validation",
        label_suffix=".tif",
        ignore=(65535,),
        count=2000,
        registered="ade20k_full_sem_seg_freq_val_all",
    ),
    DatasetSpec(
        name="pascal-context-59",
        title="PASCAL-Context-59",
        vocabulary="pascal-context-59",
        images=f"{_VOC10}/JPEGImages",
        labels=f"{_VOC10}/annotations_detectron2/pc59_val",
        count=5105,
        registered="context_59_test_sem_seg",
    ),
    # 459 is the declared ignore value, which the original script never writes; a raw 0 becomes 65535 there.
    DatasetSpec(
        name="pascal-context-459",
        title="PASCAL-Context-459",
        vocabulary="pascal-context-459",
        images=f"{_VOC10}/JPEGImages",
        labels=f"{_VOC10}/annotations_detectron2/pc459_val",
        label_suffix=".tif",
        ignore=(459, 65535),
        count=5104,
        registered="context_459_test_sem_seg",
    ),
    DatasetSpec(
        name="pascal-voc-20",
        title="PASCAL-VOC-20",
        vocabulary="pascal-voc-20",
        images=f"{_VOC12}/JPEGImages",
        labels=f"{_VOC12}/annotations_detectron2/val",
        count=1449,
        registered="voc_2012_test_sem_seg",
    ),
    DatasetSpec(
        name="pascal-voc-20b",
        title="PASCAL-VOC-20b",
        vocabulary="pascal-voc-20b",
        images=f"{_VOC12}/JPEGImages",
        labels=f"{_VOC12}/annotations_detectron2_bg/val",
        background=20,
        count=1449,
        registered="voc_2012_test_background_sem_seg",
    ),
    DatasetSpec(
        name="coco-stuff-171",
        title="COCO-Stuff-171",
        vocabulary="coco-stuff-171",
        images="coco-stuff/images/val2017",
        labels="coco-stuff/annotations_detectron2/val2017",
        count=5000,
        registered="coco_2017_test_stuff_all_sem_seg",
    ),
    DatasetSpec(
        name="coco-stuff-171-train",
        title="COCO-Stuff-171 (training)",
        vocabulary="coco-stuff-171",
        images="coco-stuff/images/train2017",
        labels="coco-stuff/annotations_detectron2/train2017",
        count=118287,
        registered="coco_2017_train_stuff_all_sem_seg",
    ),
)


def find_spec(name: str) -> DatasetSpec:
    """The benchmark of that name, ours or the one the original repositories registered.

    Raises:
        CatalogError: listing the names there are.
    """
    for spec in CATALOG:
        if name in (spec.name, spec.registered):
            return spec
    raise CatalogError(f"no benchmark is called {name!r}; known are {', '.join(spec.name for spec in CATALOG)}.")


class BenchmarkDataset:
    """The pictures of a benchmark that have a label map, in the order of their names.

    As in the original loader, what has no partner of the same name is left out: `without_image` names the label maps
    among it. Pictures without a label map are part of the layout of PASCAL.
    """

    def __init__(self, spec: DatasetSpec, root: Path) -> None:
        self.spec = spec
        self.root = root
        labels, images = spec.label_names(root), set(spec.image_names(root))
        self.names = [name for name in labels if name in images]
        self.without_image = [name for name in labels if name not in images]

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes; label k is entry k."""
        return self.spec.words()

    @property
    def name(self) -> str:
        """What reports call this dataset."""
        return self.spec.name

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Picture `index` with its labels.

        Raises:
            SampleError: what is wrong with this picture or its label map.
        """
        name = self.names[index]
        image, labels = self.read_image(name), self.read_labels(name)
        if image.shape[:2] != labels.shape:
            (height, width), (label_height, label_width) = image.shape[:2], labels.shape
            raise SampleError(
                f"{self.spec.label_path(self.root, name)}: label map is {label_width}x{label_height}, its picture "
                f"{width}x{height}; sizes must agree. Unpack the archives again and prepare with --again."
            )
        return Sample(image, labels, name)

    def read_image(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        """One picture by its name."""
        return read_image(self.spec.image_path(self.root, name))

    def read_labels(self, name: str) -> Int32[np.ndarray, "H W"]:
        """One label map by its name, checked against the classes."""
        path = self.spec.label_path(self.root, name)
        return self.spec.decode(read_labels(path), str(path))


def open_benchmark(name: str, root: Path) -> BenchmarkDataset:
    """A prepared benchmark below `root`, made by `ahs-seg data prepare` or by the original scripts.

    Raises:
        CatalogError: no such benchmark, or nothing of it below the root.
    """
    spec = find_spec(name)
    dataset = BenchmarkDataset(spec, root)
    if not len(dataset):
        found = f"{len(dataset.without_image)} label maps but no picture" if dataset.without_image else "nothing"
        raise CatalogError(
            f"{spec.title}: {found} in {root / spec.images} and {root / spec.labels}. Prepare it: "
            f"ahs-seg data prepare {spec.name} --root {root}, or give the root of a tree that is prepared."
        )
    return dataset


@cache
def _known(vocabulary: str) -> Vocabulary:
    return Vocabulary.known(vocabulary)


def _names(folder: Path, suffix: str) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name.removesuffix(suffix) for path in folder.iterdir() if _is_data(path, suffix))


def _is_data(path: Path, suffix: str) -> bool:
    return path.name.endswith(suffix) and not path.name.startswith(".")
