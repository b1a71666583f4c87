"""Inputs are never replaced, runs into one folder never mixed, and what is not read is counted."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig, list_sources, segment_files
from ahs_seg.batch.sources import MissingInputError
from ahs_seg.io.folder_lock import FolderInUseError, locked
from ahs_seg.io.image_sets import images_of
from ahs_seg.io.images import ImageError
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS, drawn, save
from tests.support.locked import lock

MEANT = r"the output folder .* holds the images themselves \(.*\); .*Give a folder of its own, for example -o "


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("output", [".", "{photos}", "../photos", "more/..", "..", "{link}", "{link}/more/.."])
@pytest.mark.parametrize("given", [["0.png", "1.png"], ["."], ["*.png"], ["{photos}"], ["{link}"], ["{link}/0.png"]])
def test_no_output_lands_on_an_input(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, given: list[str]
) -> None:
    monkeypatch.chdir(photos)
    (tmp_path / "link").symlink_to(photos)
    spelled = {"photos": photos, "link": tmp_path / "link"}
    with pytest.raises(OverwriteError, match=MEANT):
        list_sources([one.format(**spelled) for one in given], output=Path(output.format(**spelled)))


def test_the_advice_for_an_output_that_is_an_image_is_a_folder_beside_it(photos: Path) -> None:
    image = photos / "0.png"
    with pytest.raises(OverwriteError, match=rf"-o {re.escape(str(photos / 'segmented'))}\.$"):
        list_sources([image], output=image)


def test_the_error_comes_before_anything_is_done(segmenter: Segmenter, photos: Path) -> None:
    before = contents(photos)
    with pytest.raises(OverwriteError, match=MEANT):
        segment_files(segmenter, sorted(photos.glob("*.png")), WORDS, photos, progress=False)
    assert contents(photos) == before
    assert segmenter.method.seen == []


def test_links_in_the_output_folder_are_replaced_not_followed(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    before, out = contents(photos), tmp_path / "out"
    out.mkdir()
    (out / "0.png").symlink_to(photos / "0.png")
    (out / "1.png").hardlink_to(photos / "1.png")
    assert run(segmenter, photos, out).done == 7
    assert contents(photos) == before
    (tmp_path / "turned").symlink_to(out)
    with pytest.raises(OverwriteError, match=MEANT):
        list_sources([out / "0.png"], output=tmp_path / "turned")


def test_one_input_needs_no_list(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    assert segment_files(segmenter, str(photos / "more"), WORDS, tmp_path / "out", progress=False).done == 2
    assert contents(tmp_path / "out").keys() >= {"0.png", "1.png"}


def test_results_among_the_inputs_are_left_out(segmenter: Segmenter, photos: Path) -> None:
    out = photos / "more" / "out"
    assert run(segmenter, photos, out).done == 7
    assert run(segmenter, photos, out, resume=True).skipped == 7
    found = list_sources([photos, out], output=out)
    assert len(found) == 7
    with pytest.raises(OverwriteError, match=MEANT):
        list_sources([out], output=out)
    with pytest.raises(OverwriteError, match=MEANT):
        list_sources([out / "0.png"], output=out)


def test_results_of_other_runs_are_no_images(segmenter: Segmenter, photos: Path) -> None:
    before, first = len(list_sources([photos])), photos / "more" / "first"
    assert run(segmenter, photos, first).done == 7
    for given in (photos, f"{photos}/**/*.png"):
        found = list_sources([given], output=photos / "second")
        assert len(found) == before
        assert [(one.count, one.example) for one in found.left_out if "results" in one.reason] == [(1, str(first))]
        assert len(images_of(given) or ()) == before
    assert (
        len(images_of(first) or ()) == len(list_sources([first])) == len(list_sources([f"{first}/**/*.png"])) > before
    )
    for path in photos.rglob("*.png"):
        if first not in path.parents:
            path.unlink()
    with pytest.raises(MissingInputError, match=f"no images in .*\nleft out: 1 folders with results.* e.g. {first}"):
        list_sources([photos])
    with pytest.raises(ImageError, match=f"no images; .*\nleft out: {first}, which holds results of an earlier run"):
        images_of(photos)


def test_one_run_at_a_time(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(FolderInUseError, match="another run is writing there"):
        run(segmenter, photos, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ahs-seg"]


def test_what_is_not_read_is_counted(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    image = Image.fromarray(drawn(24, 32))
    image.save(photos / "a.jfif", "JPEG")
    image.save(photos / "b.jpe", "JPEG")
    for name in ("c.heic", "d.HEIC", "e.ico", ".hidden.png", "notes.txt"):
        (photos / name).write_bytes(b"?")
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "loop.png").symlink_to("loop.png")
    (tmp_path / "elsewhere").mkdir()
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    summary = run(segmenter, list_sources([photos], output=tmp_path / "out")[0].path.parent, tmp_path / "out")
    assert (summary.done, summary.failures) == (9, [])
    counts = {one.reason.split(",")[0].split(" (")[0]: one.count for one in summary.left_out}
    assert counts == {
        ".heic files": 2,
        ".ico files": 1,
        "hidden files": 1,
        "links that lead nowhere": 2,
        "links to folders": 1,
    }
    text = "\n".join(summary.lines())
    assert "left out: 2 .heic files, which are not read; convert to JPEG: heif-convert" in text
    assert f"e.g. {photos / 'c.heic'}" in text
    assert summary.to_dict()["left_out"][0].keys() == {"reason", "count", "example"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_files_that_cannot_be_reached_are_counted(
    segmenter: Segmenter, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (photos / "more" / "deep").mkdir()
    lock(photos / "more", monkeypatch, code)
    summary = run(segmenter, photos, tmp_path / "out")
    assert (summary.done, summary.failures) == (5, [])
    (left_out,) = (one for one in summary.left_out if "files" in one.reason)
    assert left_out.reason == f"files that cannot be reached ({os.strerror(code)})"
    assert (left_out.count, Path(left_out.example).parent) == (2, photos / "more")
    given = [photos / "4.png", photos / "more" / "0.png"]
    named = segment_files(segmenter, given, WORDS, tmp_path / "named", progress=False)
    assert named.done == 1
    assert os.strerror(code) in named.failures[0].reason


def test_counts_survive_a_list_that_is_made_first(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    (photos / "c.heic").write_bytes(b"?")
    sources = list_sources([photos], output=tmp_path / "out")
    summary = segment_files(segmenter, sources, WORDS, tmp_path / "out", progress=False)
    assert [(one.count, one.example) for one in summary.left_out] == [(1, str(photos / "c.heic"))]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "c.heic").write_bytes(b"?")
    with pytest.raises(FileNotFoundError, match=r"no images in .*\nleft out: 1 \.heic files"):
        list_sources([tmp_path / "only"])


def test_the_first_of_several_images_is_said_to_be_all(segmenter: Segmenter, tmp_path: Path) -> None:
    first, *rest = [Image.fromarray(drawn(24, 32, seed)) for seed in range(3)]
    (tmp_path / "in").mkdir()
    for name in ("moving.gif", "pages.tif"):
        first.save(tmp_path / "in" / name, save_all=True, append_images=rest)
    save(tmp_path / "in" / "one.gif", drawn(24, 32))
    out = tmp_path / "out"
    for resume, tiles in ((False, None), (True, None)):
        summary = run(segmenter, tmp_path / "in", out, config=BatchConfig(formats=("png",), tiles=tiles), resume=resume)
        assert [one.count for one in summary.notes.values()] == [2]
        assert "note: 2 x several images (frames or pages) in one file; only the first was" in "\n".join(
            summary.lines()
        )
    records = [json.loads(line) for path in out.glob(".ahs-seg/done-*") for line in path.read_text().splitlines()]
    assert {record["name"]: len(record.get("notes", ())) for record in records} == {"moving": 1, "pages": 1, "one": 0}
