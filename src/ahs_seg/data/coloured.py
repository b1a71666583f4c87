"""Dataset of a folder whose label maps are coloured: each class has a colour in a table.

Pascal VOC, CVAT ("Segmentation mask") and CamVid store labels in this way, as RGB or with a palette.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int32, UInt

from ahs_seg.data.class_choice import ClassChoice, ClassNames
from ahs_seg.data.colour_table import VOC, ColourTable
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.data.folder import FolderDataset, FolderError
from ahs_seg.documents import MAX_YAML_BYTES, DocumentError, read_text
from ahs_seg.io.digest import files_digest
from ahs_seg.io.images import read_colours
from ahs_seg.vocabulary.notices import notice


class ColouredFolder(FolderDataset):
    """Dataset of the images of a folder that have a coloured label map; images without one are left out, and told.

    The folders are those of `FolderDataset`. `classes` chooses the classes of the colour table (`ClassChoice`);
    `listed` is a text file below `root` with one image name per line (None: all), as in `ImageSets/Segmentation`.

    Raises:
        FolderError: a folder or the list does not exist, or no image has a label map.
        ColourTableError, VocabularyError: table or class list cannot be used.
    """

    def __init__(
        self,
        root: Path | str,
        colours: ColourTable,
        *,
        split: str | None = None,
        images: str = "JPEGImages",
        annotations: str = "SegmentationClass",
        listed: str | None = None,
        classes: ClassChoice = ClassChoice(),  # noqa: B008  # frozen
    ) -> None:
        vocabulary, self._table = classes.apply(colours.names, colours.source)
        super().__init__(root, split=split, images=images, annotations=annotations, classes=vocabulary)
        self._colours = colours
        self._colour_state = files_digest([("colours", Path(colours.source))])
        wanted = None if listed is None else _names(self.root / listed)
        labelled = self._labels.keys() | self._lossy_labels()  # a lossy one is a fault of the folder, as elsewhere
        kept = [
            (path, name)
            for path, name in zip(self._images, self._names, strict=True)
            if name in labelled and (wanted is None or name in wanted)
        ]
        if not kept:
            raise FolderError(f"{self.root}: no image in {images} has a label map of its name in {annotations}.")
        if len(kept) < (total := len(self._images) if wanted is None else len(wanted)):
            missing = f"no label map in {annotations}" + f", or no image in {images}" * (wanted is not None)
            notice(f"{self.root}: {len(kept):,} of {total:,} images can be used; the others have {missing}.")
        self._images, self._names = [path for path, _ in kept], [name for _, name in kept]
        if wanted is not None:
            self._labels = {name: paths for name, paths in self._labels.items() if name in wanted}

    @property
    def first_value(self) -> int | None:
        """None: values are classes of the colour table, which the class list may order otherwise."""
        return None

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the files of sample `index`, and of the colour table."""
        return f"{super().file_state(index)} {self._colour_state}"

    def stored_labels(self, index: int) -> UInt[np.ndarray, "H W"]:
        """Class of the colour table of every pixel of sample `index`.

        Raises:
            SampleError: the label map is missing, damaged or lossy, or has a colour that is not in the table.
        """
        path = self._label_path(index)
        return self._colours.decode(read_colours(path), str(path))

    def class_labels(self, values: UInt[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
        """Class indices of the classes of the colour table, `IGNORE` where it is none of the chosen ones."""
        return self._table[values]


class ColouredData(DatasetConfig):
    """Config of a folder of coloured label maps; the defaults are the layout of CVAT's "Segmentation mask" and of VOC.

    `colours` is the file of the colour table below `root`, or "voc". See `ColouredFolder` and `ColourTable.read`.
    """

    name: Literal["coloured"] = "coloured"
    root: Path
    colours: str = "labelmap.txt"
    split: str | None = None
    images: str = "JPEGImages"
    annotations: str = "SegmentationClass"
    listed: str | None = None
    classes: ClassNames = None
    unlabelled: str | None = None

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return f"{self.root.resolve().name}{'/' + self.split if self.split else ''}"

    def open(self) -> ColouredFolder:
        """Dataset of the folder; its files are only listed here, `check` reads them.

        Raises:
            FolderError: a folder or the list does not exist, or no image has a label map.
            ColourTableError, VocabularyError: table or class list cannot be used.
        """
        dataset = ColouredFolder(
            self.root,
            ColourTable.voc() if self.colours == VOC else ColourTable.read(self.root / self.colours),
            split=self.split,
            images=self.images,
            annotations=self.annotations,
            listed=self.listed,
            classes=ClassChoice.of(self.classes, self.unlabelled),
        )
        dataset.tell_layout()
        return dataset


def _names(path: Path) -> frozenset[str]:
    try:
        return frozenset(line.strip() for line in read_text(path, MAX_YAML_BYTES).splitlines() if line.strip())
    except (OSError, DocumentError) as error:
        raise FolderError(f"{path}: no list of image names ({error}); give one a line, without ending.") from None
