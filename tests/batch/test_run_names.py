"""Inside annotation files stands the input's own name, and results are told apart."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.io.brush_rle import LOCAL_FILES
from ahs_seg.output.formats import FormatError
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


@pytest.mark.parametrize("file", ["images/x.png", "Images/deep/x.png", "images.mp4"])
def test_no_label_map_lies_among_the_images_of_yolo(segmenter: Segmenter, tmp_path: Path, file: str) -> None:
    save(tmp_path / "in" / "x.png", drawn(24, 32))
    if file.endswith(".mp4"):
        film(tmp_path / "in" / file, 1)
    else:
        save(tmp_path / "in" / file, drawn(24, 32, 1))
    config = BatchConfig(formats=("png", "yolo", "coco"))
    with pytest.raises(FormatError, match=r"/.*: png would write into the folder images .* Write yolo in a run of its"):
        run(segmenter, tmp_path / "in", tmp_path / "out", config=config)
    assert not (tmp_path / "out").exists()
    assert run(segmenter, tmp_path / "in", tmp_path / "out", config=config.replace(formats=("yolo", "coco"))).done == 2


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


def test_an_image_that_is_renamed_by_another_is_not_named_twice(segmenter: Segmenter, tmp_path: Path) -> None:
    source, out, config = tmp_path / "in", tmp_path / "out", CONFIG.replace(formats=(*CONFIG.formats, "yolo"))
    save(source / "a.jpg", drawn(24, 32, 0))
    save(source / "b.png", drawn(24, 32, 1))
    run(segmenter, source, out, config=config)
    save(source / "a.png", drawn(24, 32, 2))
    added = run(segmenter, source, out, config=config, resume=True)
    assert (added.done, added.skipped) == (2, 1)
    assert [*names_in(out)] == [{"a.jpg", "a.png", "b.png"}] * 3
    assert len(json.loads((out / "coco.json").read_text())["images"]) == 3
    assert len(ElementTree.parse(out / "cvat.xml").findall("image")) == 3
    assert len(json.loads((out / "labelstudio.json").read_text())) == 3
    assert sorted(path.name for path in (out / "images").iterdir()) == ["a_jpg.jpg", "a_png.png", "b.png"]
    assert sorted(path.name for path in (out / "labels").iterdir()) == ["a_jpg.txt", "a_png.txt", "b.txt"]
    (source / "a.png").unlink()
    less = run(segmenter, source, out, config=config, resume=True)
    assert (less.done, less.skipped) == (1, 1)
    images = json.loads((out / "coco.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["a.jpg", "a.png", "b.png"]
    assert run(segmenter, source, out, config=config, resume=True).skipped == 2


def test_a_video_that_is_renamed_by_another_is_not_named_twice(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film(tmp_path / "in" / "film.mp4", 2)
    run(segmenter, tmp_path / "in", tmp_path / "out", config=CONFIG)
    film(tmp_path / "in" / "film.mkv", 2)
    run(segmenter, tmp_path / "in", tmp_path / "out", config=CONFIG, resume=True)
    document = json.loads((tmp_path / "out" / "coco.json").read_text())
    found = sorted((image["file_name"], image["frame_id"]) for image in document["images"])
    assert found == [("film.mkv", 0), ("film.mkv", 1), ("film.mp4", 0), ("film.mp4", 1)]


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
