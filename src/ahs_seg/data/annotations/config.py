"""Configs of datasets whose labels are a file of a labelling tool."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Literal

from ahs_seg.data.annotations.base import AnnotatedDataset, LabelSource
from ahs_seg.data.annotations.coco import read_coco
from ahs_seg.data.annotations.cvat import read_cvat
from ahs_seg.data.annotations.labelstudio import read_labelstudio
from ahs_seg.data.class_choice import ClassChoice, ClassNames
from ahs_seg.data.dataset_config import DatasetConfig


class AnnotatedData(DatasetConfig):
    """Config of a file of labels: `file`, and the folder of its images (None: `images` beside it, or its own folder).

    `classes` is a class list: a file, a known vocabulary or names (None: the classes of the file). `unlabelled` is the
    class of pixels without a label (None: they are ignored). See `ClassChoice`.
    """

    file: Path
    images: Path | None = None
    classes: ClassNames = None
    unlabelled: str | None = None

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return str(self.file)

    @abstractmethod
    def label_source(self) -> LabelSource:
        """The labels of the file."""

    def open(self) -> AnnotatedDataset:
        """Dataset of the images that can be used; a message names those that cannot.

        Raises:
            AnnotationError: the file is none of this kind, or none of its images can be used.
            VocabularyError: the class list cannot be read, or names no class of the file.
        """
        beside = self.file.parent / "images"
        images = self.images or (beside if beside.is_dir() else self.file.parent)
        classes = ClassChoice.of(self.classes, self.unlabelled)
        return AnnotatedDataset(self.label_source(), images, title=self.title, classes=classes)


class CocoData(AnnotatedData):
    """Config of a COCO JSON file; `segments` is the folder of the PNG files of a panoptic one."""

    name: Literal["coco"] = "coco"
    segments: Path | None = None

    def label_source(self) -> LabelSource:
        """The labels of the file."""
        return read_coco(self.file, segments=self.segments)


class CvatData(AnnotatedData):
    """Config of an XML file of CVAT, "CVAT for images 1.1"."""

    name: Literal["cvat"] = "cvat"

    def label_source(self) -> LabelSource:
        """The labels of the file."""
        return read_cvat(self.file)


class LabelStudioData(AnnotatedData):
    """Config of a JSON export of Label Studio; with `predictions`, tasks without annotation have their prediction."""

    name: Literal["labelstudio"] = "labelstudio"
    predictions: bool = False

    def label_source(self) -> LabelSource:
        """The labels of the file."""
        return read_labelstudio(self.file, predictions=self.predictions)
