"""Tables of colours of other tools, and label maps decoded with them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.colour_table import NO_CLASS, ColourTable, ColourTableError
from ahs_seg.errors import SampleError

CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:192,96,96::\nlake, sea:5,6,7:part:act\n"
CAMVID = "64 128 64\tAnimal\n192 0 128\t\tArchway\n0 128 192 Bicyclist\n"


@pytest.mark.parametrize(
    ("name", "text", "names", "last"),
    [
        ("labelmap.txt", CVAT, ["background", "car", "lake, sea"], (5, 6, 7)),
        ("label_colors.txt", CAMVID, ["Animal", "Archway", "Bicyclist"], (0, 128, 192)),
        ("class_dict.csv", "name,r,g,b\nSky,1,2,3\nRoad side,4,5,6\n", ["Sky", "Road side"], (4, 5, 6)),
        ("classes.txt", "Sky 1 2 3\nroad side, 4, 5, 6\n", ["Sky", "road side"], (4, 5, 6)),
        ("a.json", '{"sky": "#0102ff", "road": [4, 5, 6]}', ["sky", "road"], (4, 5, 6)),
    ],
)
def test_the_layouts_of_other_tools(tmp_path: Path, name: str, text: str, names: list[str], last) -> None:
    (tmp_path / name).write_text(text)
    table = ColourTable.read(tmp_path / name)
    assert list(table.names) == names
    assert table.colours[last] == len(names) - 1


def test_the_table_of_voc_is_its_palette() -> None:
    table = ColourTable.voc()
    assert table.names[0] == "background"
    assert table.names[-1] == "void"
    assert len(table.names) == 22
    known = {"aeroplane": (128, 0, 0), "bicycle": (0, 128, 0), "person": (192, 128, 128), "void": (224, 224, 192)}
    assert {name: colour for colour, label in table.colours.items() if (name := table.names[label]) in known} == known


def test_labels_of_colours_and_a_class_of_two_colours() -> None:
    table = ColourTable.of([("a", (1, 2, 3)), ("b", (0, 0, 255)), ("a", (255, 0, 0))], "t")
    image = np.array([[[1, 2, 3], [255, 0, 0], [0, 0, 255]]], np.uint8)
    assert table.decode(image, "x").tolist() == [[0, 0, 1]]
    image[0, :2] = (3, 2, 1)
    with pytest.raises(SampleError, match=r"x: 2 pixels have 1 colours that are not in t, most often \(3, 2, 1\)"):
        table.decode(image, "x")
    assert np.iinfo(np.uint16).max == NO_CLASS


def test_smoothed_borders_are_found() -> None:
    table = ColourTable.of([("a", (0, 0, 0)), ("b", (255, 255, 255))], "t")
    drawn = Image.fromarray(np.repeat(np.repeat(np.array([[0, 255]], np.uint8), 8, 1), 8, 0)).convert("RGB")
    assert table.decode(np.asarray(drawn), "x").sum() == 64
    with pytest.raises(SampleError, match="export again without smoothing"):
        table.decode(np.asarray(drawn.resize((12, 12), Image.Resampling.BILINEAR)), "x")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "0 classes; allowed are 1"),
        ("a.txt", "road\n", r"line 1: 'road'; allowed are lines such as 'road:128,64,128'"),
        ("a.txt", "road:300,1,2::\n", r"class 'road' has the colour \(300, 1, 2\); allowed are 0\.\.255"),
        ("a.txt", "a:1,2,3::\nb:1,2,3::\n", r"'a' and 'b' have the colour \(1, 2, 3\)"),
        ("a.csv", "name,r,g,b\nsky,1,2\n", "line 2: 'sky,1,2'; allowed are a name and r, g, b"),
        ("a.csv", "name,r,g,b\nsky,1,2," + "9" * 5000, "line 2"),
        ("a.json", "[1]", "holds a list"),
        ("a.json", '{"a": "red"}', "class 'a' has no colour"),
        ("a.json", '{"a": [1, 2, true]}', "class 'a' has no colour"),
        ("a.json", "{", "not readable as a table of colours"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ColourTableError, match=message):
        ColourTable.read(tmp_path / name)
    with pytest.raises(ColourTableError, match=r"none\.txt: not readable"):
        ColourTable.read(tmp_path / "none.txt")
