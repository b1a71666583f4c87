"""CVAT's XML: ours comes back to the pixel, and a file by CVAT's published format is read."""

import logging
from pathlib import Path

import numpy as np
import pytest

from ahs_seg.data.annotations.base import AnnotationError
from ahs_seg.data.annotations.config import CvatData
from tests.support.annotations import MAPS, exported, same_labels, save_image
from tests.support.datasets import notices

# The elements and attributes of the examples in https://docs.cvat.ai/docs/other/xml_format ("image" annotations).
PUBLISHED = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id><name>segmentation</name><size>2</size><mode>annotation</mode><overlap>0</overlap>
      <labels>
        <label>
          <name>car</name><color>#c06060</color>
          <attributes><attribute><name>model</name><values>a\nb</values></attribute></attributes>
        </label>
        <label><name>lake &amp; sea</name><attributes></attributes></label>
      </labels>
      <owner><username>admin</username><email></email></owner>
    </task>
    <dumped>2018-09-25 15:13:08.103175+03:00</dumped>
  </meta>
  <image id="0" name="shore/a.png" width="8" height="6">
    <polygon label="lake &amp; sea" points="2.00,2.00;4.00,2.00;4.00,4.00;2.00,4.00" occluded="0" z_order="1"></polygon>
    <mask label="car" source="semi-auto" occluded="0" rle="1, 3, 5" left="1" top="1" width="3" height="3" z_order="0">
      <attribute name="model">b</attribute>
    </mask>
    <box label="car" xtl="0" ytl="0" xbr="8" ybr="6" occluded="0" z_order="9"></box>
    <points label="car" points="1.0,1.0" z_order="0"></points>
  </image>
  <image id="1" name="b.png" width="8" height="6"></image>
</annotations>
"""


def written(folder: Path, text: str = PUBLISHED) -> Path:
    for name in ("a.png", "b.png"):
        save_image(folder / "images" / name, np.zeros((6, 8, 3), np.uint8))
    path = folder / "annotations.xml"
    path.write_text(text)
    return path


def test_what_our_exporter_writes_comes_back_to_the_pixel(tmp_path: Path) -> None:
    file, images = exported("cvat", tmp_path)
    dataset = CvatData(file=file, images=images).open()
    assert same_labels(dataset, MAPS)
    assert notices(CvatData(file=file, images=images), file)
    assert dataset.vocabulary.labels == ["straße", "a <b> & 'c'", "sky"]
    dataset.check()


def test_a_file_by_the_published_format_is_read(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = CvatData(file=written(tmp_path)).open()
    assert dataset.vocabulary.labels == ["car", "lake & sea"]
    assert len(dataset) == 1
    assert dataset[0].labels[:5].tolist() == [
        [-1] * 8,
        [-1, -1, 0, 0, -1, -1, -1, -1],
        [-1, 0, 1, 1, -1, -1, -1, -1],
        [-1, -1, 1, 1, -1, -1, -1, -1],
        [-1] * 8,
    ]
    assert "left out: 1 box, 1 points" in caplog.text
    assert "1 of 2 images can be used.\n  1 without a label; data.unlabelled=background" in caplog.text


def test_the_order_of_drawing_decides_where_shapes_overlap(tmp_path: Path) -> None:
    full = PUBLISHED.replace("1, 3, 5", "0, 9")
    for order, visible in (("0", 0), ("1", 4), ("-1", 0)):  # of one order, the later one lies on top
        text = full.replace('z_order="1"', f'z_order="{order}"')
        assert (CvatData(file=written(tmp_path, text)).open()[0].labels == 1).sum() == visible


def test_an_image_without_shapes_is_all_background_if_that_is_a_class(tmp_path: Path) -> None:
    dataset = CvatData(file=written(tmp_path), unlabelled="ground").open()
    assert dataset.vocabulary.labels == ["car", "lake & sea", "ground"]
    assert [sample.name for sample in (dataset[0], dataset[1])] == ["b.png", "shore/a.png"]
    assert (dataset[0].labels == 2).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('rle="1, 3, 5"', 'rle="1, x"', "mask with the runs '1, x'"),
        ('rle="1, 3, 5"', 'rle="1, 9999999"', "a run of 9999999; allowed are 0..9"),
        ('left="1" top="1"', 'left="6" top="1"', "mask of 3x3 at 6, 1 in an image of 8x6"),
        ('width="3" height="3"', 'width="-3" height="-3"', "mask of -3x-3"),
        ("2.00,2.00;4.00,2.00", "2.00,2.00;4.00", "pairs x, y of finite numbers"),
        ("2.00,2.00;4.00,2.00", "2.00,2.00;nan,2.00", "of finite numbers"),
        ('label="car" source', 'label="bus" source', "a.png: has a shape of class 'bus', which the file does not"),
        ('z_order="1"', 'z_order="top"', "has z_order='top'"),
        ('name="shore/a.png" width="8"', 'name="shore/a.png" width="80"', "labels are for 80x6, the image is 8x6"),
        ('width="8" height="6">\n    <poly', 'width="6" height="8">\n    <poly', "rotated: was the image labelled"),
    ],
)
def test_a_bad_shape_costs_its_image(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PUBLISHED
    dataset = CvatData(file=written(tmp_path, PUBLISHED.replace(old, new)), unlabelled="ground").open()
    assert dataset[0].name == "b.png"
    with pytest.raises(AnnotationError, match=message):
        dataset.check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><image", "not readable as XML"),
        ('<?xml version="1.0" encoding="gbk"?><annotations></annotations>', "not readable as XML .* as UTF-8"),
        ('<?xml version="1.0" encoding="foo"?><annotations></annotations>', "not readable as XML .* as UTF-8"),
        ("<html></html>", "no annotations of CVAT"),
        ('<!DOCTYPE a [<!ENTITY b "&#38;b;&#38;b;">]><annotations>&b;</annotations>', "has a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations></annotations>', "has a document type"),
        (PUBLISHED.replace("<image", "<track><image").replace("</image>", "</image></track>"), "tracks of a video"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        CvatData(file=written(tmp_path, text)).open()
