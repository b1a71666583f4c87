"""Inside annotation files stands the input's own name, and results are told apart."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.io.brush_rle import LOCAL_FILES
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS, drawn, save
from tests.support.films import film

CONFIG = BatchConfig(formats=("png", "coco", "cvat", "labelstudio"))


def names_in(out: Path) -> Iterator[set[str]]:
    """Names of the images in the files of each format."""
    yield {image["file_name"] for image in json.loads((out / "coco.json").read_text())["images"]}
    yield {str(image.get("name")) for image in ElementTree.parse(out / "cvat.xml").iter("image")}
    tasks = json.loads((out / "labelstudio.json").read_text())
    yield {unquote(task["data"]["image"].removeprefix(LOCAL_FILES)) for task in tasks}


@pytest.mark.parametrize("files", [["a.jpg", "a.png"], ["a.jpg", "a.JPG"], ["x/a.jpg", "x/a.jpeg", "x/A.jpg", "b.png"]])
def test_annotations_name_the_files_that_are_there(segmenter: Segmenter, tmp_path: Path, files: list[str]) -> None:
    for seed, name in enumerate(files):
        save(tmp_path / "in" / name, drawn(24, 32, seed))
    summary = run(segmenter, tmp_path / "in", tmp_path / "out", config=CONFIG)
    assert (summary.done, summary.failures) == (len(files), [])
    assert [*names_in(tmp_path / "out")] == [set(files)] * 3
    assert len(list((tmp_path / "out").rglob("*.classes.json"))) == len(files)
    again = run(segmenter, tmp_path / "in", tmp_path / "out", config=CONFIG, resume=True)
    assert (again.done, again.skipped) == (0, len(files))


def test_frames_are_named_by_their_video_and_number(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    film(tmp_path / "in" / "deep" / "film.mp4", 5)
    film(tmp_path / "in" / "other.mp4", 3)
    save(tmp_path / "in" / "a.png", drawn(24, 32))
    out = tmp_path / "out"
    config = CONFIG.replace(every=2)
    summary = segment_files(segmenter, [tmp_path / "in"], WORDS, out, config=config, progress=False)
    assert (summary.done, summary.failures) == (6, [])

    coco = json.loads((out / "coco.json").read_text())
    videos = {video["id"]: video["name"] for video in coco["videos"]}
    found = {(image["file_name"], videos.get(image.get("video_id")), image.get("frame_id")) for image in coco["images"]}
    frames = {
        (name, name, frame) for name, last in (("deep/film.mp4", 5), ("other.mp4", 3)) for frame in range(0, last, 2)
    }
    assert found == frames | {("a.png", None, None)}

    images = ElementTree.parse(out / "cvat.xml").findall("image")
    assert [image.get("name") for image in images] == ["a.png"]
    film_xml = ElementTree.parse(out / "deep" / "film.mp4.cvat.xml")
    assert film_xml.findtext("meta/task/size") == "3"
    numbers = [(image.get("id"), image.get("name")) for image in film_xml.findall("image")]
    assert numbers == [("0", "frame_000000"), ("2", "frame_000002"), ("4", "frame_000004")]
    assert {out / "cvat.xml", out / "deep" / "film.mp4.cvat.xml", out / "other.mp4.cvat.xml"} <= set(summary.files)

    (*_, tasks) = names_in(out)
    assert "frames/deep/film.mp4/000002.png" in tasks
    assert all((out / name).is_file() for name in tasks - {"a.png"})
