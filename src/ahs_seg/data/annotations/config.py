"""Configs of datasets whose labels are a file of a labelling tool."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Literal

from ahs_seg.data.annotations.base import AnnotatedDataset, AnnotationError, LabelSource
from ahs_seg.data.annotations.coco import read_coco
from ahs_seg.data.annotations.cvat import read_cvat
from ahs_seg.data.annotations.labelstudio import read_labelstudio
from ahs_seg.data.class_choice import ClassChoice, ClassNames
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.io.folder_lock import holds_results


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
            AnnotationError: the file is none of this kind, none of its images can be used, or it lies among results of
                a run, whose label maps have the names of the images, and `images` is None.
            VocabularyError: the class list cannot be read, or names no class of the file.
        """
        classes = ClassChoice.of(self.classes, self.unlabelled)
        return AnnotatedDataset(self.label_source(), self._image_folder(), title=self.title, classes=classes)

    def places(self) -> list[Path]:
        """The files and folders of the settings, and the folder of the images.

        Raises:
            AnnotationError: the file lies among results of a run, and `images` is None.
        """
        return [*super().places(), self._image_folder()]

    def _image_folder(self) -> Path:
        if self.images is not None:
            return self.images
        beside = self.file.parent / "images"
        found = beside if beside.is_dir() else self.file.parent
        if results := next((folder for folder in (found, self.file.parent) if holds_results(folder)), None):
            raise AnnotationError(
                f"{self.file}: where images are is not given, and {results} holds results of a run, such as label maps "
                "with the names of the images. Give the folder of the images, data.images=FOLDER, or copy the file "
                "into that folder."
            )
        return found


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
