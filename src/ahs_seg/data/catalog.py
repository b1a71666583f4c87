"""Benchmark datasets: file locations, meaning of the label values, and a dataset class for each benchmark.

The folder layout is that of the original preparation scripts of CAT-Seg (and of OVSeg and Mask2Former before it), so a
tree made by them can be read directly; `ahs_seg.data.prepare` creates the same tree from the original archives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from jaxtyping import Int32, UInt, UInt8

from ahs_seg.data.base import Sample
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.io.digest import files_digest
from ahs_seg.io.images import read_image, read_labels
from ahs_seg.types import IGNORE, ImageKind
from ahs_seg.vocabulary.vocabulary import Vocabulary


class CatalogError(AhsSegError, ValueError):
    """Error for an unknown or missing benchmark; the message lists the known ones or says how to prepare it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Specification of one benchmark: its files below a root, its vocabulary, and its evaluation rules.

    `images` and `labels` are folders below the root; files are matched by name. `ignore` lists the label values that
    are not scored. `count` is the number of images in the official split, `registered` the dataset name in the original
    repositories.

    `background` is the background index: with one index per name (59 in VOC-20b), every index from this one on is
    mapped to this class after the argmax; scores are never merged. The vocabulary expresses the same rule (many names
    with the label "background", of which the best one counts), so predictions of its labels need no further step.
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
        """Vocabulary of the benchmark: the classes that are predicted and scored."""
        return _known(self.vocabulary)

    def label_path(self, root: Path, name: str) -> Path:
        """Path of the label map of an image."""
        return root / self.labels / f"{name}{self.label_suffix}"

    def folder(self, root: Path) -> Path:
        """Folder below the root that contains all files of the dataset."""
        return root / PurePosixPath(self.labels).parts[0]

    def image_path(self, root: Path, name: str) -> Path:
        """Path of an image."""
        return root / self.images / f"{name}{self.image_suffix}"

    def label_names(self, root: Path) -> list[str]:
        """Names of all label maps below the root, sorted."""
        return _names(root / self.labels, self.label_suffix)

    def image_names(self, root: Path) -> list[str]:
        """Names of all images below the root, sorted."""
        return _names(root / self.images, self.image_suffix)

    def decode(self, values: UInt[np.ndarray, "H W"], source: str) -> Int32[np.ndarray, "H W"]:
        """Label map decoded from raw file values, with `IGNORE` for ignored ones; `source` names the file in messages.

        Raises:
            SampleError: a value is neither a label nor an ignored value.
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
    # 459 is the declared ignore value, but the original script never writes it; a raw 0 becomes 65535 there.
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
    """Specification of a benchmark, by our name or by the one registered in the original repositories.

    Raises:
        CatalogError: the name is unknown; the message lists the known ones.
    """
    for spec in CATALOG:
        if name in (spec.name, spec.registered):
            return spec
    raise CatalogError(f"no benchmark is called {name!r}; known are {', '.join(spec.name for spec in CATALOG)}.")


class BenchmarkDataset:
    """Dataset of the benchmark images that have a label map, sorted by name.

    As in the original loader, an image or label map without a partner of the same name is skipped; `without_image`
    lists the skipped label maps. Images without a label map are normal in the PASCAL layout.
    """

    def __init__(self, spec: DatasetSpec, root: Path) -> None:
        self.image_kind: ImageKind = "photographs"
        self.spec = spec
        self.root = root
        labels, images = spec.label_names(root), set(spec.image_names(root))
        self.names = [name for name in labels if name in images]
        self.without_image = [name for name in labels if name not in images]

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the benchmark; label k is entry k."""
        return self.spec.words()

    @property
    def name(self) -> str:
        """Name of this dataset in reports."""
        return self.spec.name

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Image `index` with its label map.

        Raises:
            SampleError: the image or label map is missing, damaged or invalid, or their sizes differ.
        """
        name = self.names[index]
        image, labels = self.read_image(name), self.read_labels(name)
        if image.shape[:2] != labels.shape:
            (height, width), (label_height, label_width) = image.shape[:2], labels.shape
            raise SampleError(
                f"{self.spec.label_path(self.root, name)}: label map is {label_width}x{label_height}, its image "
                f"{width}x{height}; sizes must agree. Unpack the archives again and prepare with --again."
            )
        return Sample(image, labels, name)

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the files of sample `index`."""
        name = self.names[index]
        paths = self.spec.image_path(self.root, name), self.spec.label_path(self.root, name)
        return files_digest((name, path) for path in paths)

    def read_image(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        """Image of the given name."""
        return read_image(self.spec.image_path(self.root, name))

    def read_labels(self, name: str) -> Int32[np.ndarray, "H W"]:
        """Label map of the given name, checked against the vocabulary."""
        path = self.spec.label_path(self.root, name)
        return self.spec.decode(read_labels(path), str(path))


def open_benchmark(name: str, root: Path) -> BenchmarkDataset:
    """Dataset of a benchmark below `root`, prepared by `ahs-seg data prepare` or by the original scripts.

    Raises:
        CatalogError: the benchmark is unknown, or none of its files are below the root.
    """
    spec = find_spec(name)
    dataset = BenchmarkDataset(spec, root)
    if not len(dataset):
        found = f"{len(dataset.without_image)} label maps but no image" if dataset.without_image else "nothing"
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
