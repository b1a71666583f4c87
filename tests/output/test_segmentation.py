"""A result: its areas, and the label maps it writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import read_labels
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats import FormatError
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary


def made(classes: int) -> Segmentation:
    labels = np.arange(24, dtype=np.int32).reshape(4, 6) % classes
    labels[0, 0] = classes - 1
    vocabulary = Vocabulary.parse([f"größe {index}" for index in range(classes)])
    return Segmentation(np.full((4, 6, 3), 100, np.uint8), labels, np.ones((4, 6), np.float32), vocabulary)


@pytest.mark.parametrize(("classes", "mode"), [(3, "P"), (256, "P"), (257, "I;16"), (3000, "I;16")])
def test_saved_label_maps_hold_the_indices_and_the_names(classes, mode, tmp_path: Path):
    found = made(classes)
    path = found.save(tmp_path / "deep" / "map.png")
    with Image.open(path) as image:
        assert image.mode == mode
    assert np.array_equal(read_labels(path), found.labels)
    names = json.loads(path.with_suffix(".classes.json").read_text(encoding="utf-8"))
    assert names == {"classes": found.classes, "pixels": found.areas()}
    assert sorted(file.name for file in path.parent.iterdir()) == ["map.classes.json", "map.png"]


def test_saved_palette_shows_the_colours_of_the_overlay(tmp_path: Path):
    found = made(3)
    with Image.open(found.save(tmp_path / "map.png")) as image:
        shown = np.asarray(image.convert("RGB"))
    colours = ClassColours(found.classes)
    assert [tuple(shown[found.labels == index][0].tolist()) for index in range(3)] == [colours.of(k) for k in range(3)]
    tinted = found.overlay(strength=1.0)
    assert tuple(tinted[3, 5]) == tuple(shown[3, 5])


def test_other_file_types_are_refused(tmp_path: Path):
    with pytest.raises(FormatError, match=r"map\.gif.*png \(\.png\)"):
        made(3).save(tmp_path / "map.gif")
    with pytest.raises(FormatError, match=r"no format 'coco' with the ending '\.png'"):
        made(3).save(tmp_path / "map.png", "coco")
    assert list(tmp_path.iterdir()) == []


def test_areas_are_ordered():
    found = made(3)
    assert list(found.areas().values()) == sorted(found.areas().values(), reverse=True)
    assert found.areas() == {"größe 2": 9, "größe 1": 8, "größe 0": 7}
