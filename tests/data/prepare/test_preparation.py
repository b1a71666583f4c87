"""What all preparations share: sources found or asked for, work kept, runs repeated, cut off, parallel."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from ahs_seg.data.prepare import PREPARATIONS, MissingSourceError, PrepareError, find_preparation
from ahs_seg.data.prepare.index import index_path
from tests.support import miniature
from tests.support.miniature import ADE150_LABELS, FOLDER, NAME, SPEC, prepare, stored, times


def pack(root: Path, folder: str, archive: Path) -> Path:
    """Move a folder below the root into a zip archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted((root / folder).rglob("*.*")):
            zipped.write(path, path.relative_to(root))
    shutil.rmtree(root / folder)
    return archive


def test_every_benchmark_has_a_preparation():
    assert [find_preparation(preparation.spec.name) for preparation in PREPARATIONS] == list(PREPARATIONS)
    for preparation in PREPARATIONS:
        for source in preparation.sources:
            assert source.page
            assert not source.checksum or source.checksum.partition(":")[0] in ("md5", "sha1", "sha256")


def test_all_files_of_a_benchmark_lie_in_the_folder_that_is_locked(tmp_path):
    for preparation in PREPARATIONS:
        places = [place for source in preparation.sources for place in source.members.values()]
        for place in (*places, preparation.spec.images, preparation.spec.labels):
            assert (tmp_path / place).is_relative_to(preparation.spec.folder(tmp_path))
            assert tmp_path / place != preparation.spec.folder(tmp_path)


@pytest.mark.parametrize("place", ["downloads", ".", "../elsewhere"])
def test_from_an_archive(tmp_path, place):
    root = miniature.ade150(tmp_path / "root")
    archive = pack(root, FOLDER, root / place / "ADEChallengeData2016.zip")
    summary = prepare(NAME, root, archives=[tmp_path / "elsewhere"])
    assert summary.made == 2
    assert stored(NAME, root)["ADE_val_00000002"] == ADE150_LABELS
    assert not (root / FOLDER / "images/training").exists()
    assert archive.exists()


@pytest.mark.parametrize(
    "name", ["images/validation//{}", "annotations/validation/../../../{}", "images/validation/{}"]
)
def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path, name):
    root, victim = miniature.ade150(tmp_path / "root"), tmp_path / "home" / "authorized_keys"
    victim.parent.mkdir()
    archive = pack(root, FOLDER, root / "ADEChallengeData2016.zip")
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr(f"{FOLDER}/{name.format(victim)}", b"evil")
    with pytest.raises(PrepareError, match="refused, its member"):
        prepare(NAME, root)
    assert not list(victim.parent.iterdir())
    assert {path.name for path in root.rglob("*") if path.is_file()} == {"ADEChallengeData2016.zip", "lock"}


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("damaged", [False, True])
def test_compression_that_is_not_read_is_a_message_damaged_or_not(tmp_path, method, damaged):
    folder = "ADEChallengeData2016"
    with zipfile.ZipFile(tmp_path / f"{folder}.zip", "w", method) as zipped:
        for part in ("images", "annotations"):
            zipped.writestr(f"{folder}/{part}/validation/ADE_val_00000001.png", bytes(range(256)))
    if damaged:
        content = bytearray((tmp_path / f"{folder}.zip").read_bytes())
        content[100:120] = bytes(20)
        (tmp_path / f"{folder}.zip").write_bytes(content)
    with pytest.raises(PrepareError, match=rf"is compressed with method {method}, allowed are 0 .* and 8"):
        prepare(NAME, tmp_path)


def test_what_is_missing_is_listed_with_where_to_get_it_and_where_to_put_it(tmp_path):
    with pytest.raises(MissingSourceError) as caught:
        prepare("pascal-context-459", tmp_path, archives=[Path("/mnt/files")])
    message = str(caught.value)
    assert message.startswith("2 of 2 files are missing:\n")
    assert (
        "VOCtrainval_03-May-2010.tar: --download fetches it from http://host.robots.ox.ac.uk/pascal/VOC/voc2010/"
        "VOCtrainval_03-May-2010.tar; put it in /mnt/files or "
        f"{tmp_path} or {tmp_path}/downloads, or its content in {tmp_path}/VOCdevkit/VOC2010/JPEGImages"
    ) in message
    with pytest.raises(MissingSourceError, match=r"ADE20K_2021_17_01\.zip: get it from https://groups\."):
        prepare("ade20k-847", tmp_path, fetch=True)
    assert not list(tmp_path.iterdir())


def test_a_plain_file_is_put_in_its_place(tmp_path):
    images = [{"image_id": 1, "file_name": "1.jpg", "phase": "val", "height": 2, "width": 3}]
    root = miniature.context59(tmp_path / "root", images, [])
    (root / "downloads").mkdir()
    (root / "VOCdevkit/VOC2010/trainval_merged.json").rename(root / "downloads/trainval_merged.json")
    assert prepare("pascal-context-59", root).made == 1


def test_a_second_run_keeps_everything(tmp_path):
    root = miniature.ade150(tmp_path)
    prepare(NAME, root)
    before, index = times(root), index_path(SPEC, root).read_text()
    summary = prepare(NAME, root)
    assert (summary.made, summary.kept) == (0, 2)
    assert times(root) == before
    assert index_path(SPEC, root).read_text() == index


def test_again_makes_everything_anew(tmp_path):
    root = miniature.ade150(tmp_path)
    prepare(NAME, root)
    before = times(root)
    stray = SPEC.label_path(root, "stray")
    shutil.copy(SPEC.label_path(root, "ADE_val_00000001"), stray)
    assert prepare(NAME, root, again=True).made == 2
    assert not times(root).items() & before.items()
    assert not stray.exists()


@pytest.mark.parametrize("indexed", [True, False])
def test_damaged_label_maps_are_made_again(tmp_path, indexed):
    root = miniature.ade150(tmp_path)
    prepare(NAME, root)
    path = SPEC.label_path(root, "ADE_val_00000002")
    path.write_bytes(path.read_bytes()[:50])
    if not indexed:
        index_path(SPEC, root).unlink()
    summary = prepare(NAME, root)
    assert (summary.made, summary.kept) == (1, 1)
    assert stored(NAME, root)["ADE_val_00000002"] == ADE150_LABELS


def test_images_are_never_written(tmp_path):
    root = miniature.ade150(tmp_path)
    images = {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")}
    prepare(NAME, root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")} == images


def test_nothing_that_can_be_used(tmp_path):
    root = miniature.ade150(tmp_path, count=1)
    (root / FOLDER / "annotations/validation/ADE_val_00000001.png").write_bytes(b"junk")
    with pytest.raises(PrepareError, match=r"nothing could be prepared\. The first reason: .*ADE_val_00000001\.png"):
        prepare(NAME, root)
    assert not index_path(SPEC, root).exists()


def test_the_summary_says_what_is_wrong(tmp_path):
    root = miniature.ade150(tmp_path)
    miniature.write_image(SPEC.image_path(root, "ADE_val_00000002"), 5, 5)
    text = str(prepare(NAME, root))
    assert text.startswith("ADE20K-150: 1 images, 1 label maps made, 0 kept")
    assert "note: the official split has 2000" in text
    assert "faulty: ADE_val_00000002: " in text


@pytest.mark.parametrize("name", ["ade20k-150", "pascal-context-59"])
def test_sizes_that_differ_cost_that_image(tmp_path, name):
    if name == "ade20k-150":
        root = miniature.ade150(tmp_path)
        wrong = root / "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg"
    else:
        images = [{"image_id": k, "file_name": f"{k}.jpg", "phase": "val", "height": 2, "width": 3} for k in (1, 2)]
        root = miniature.context59(tmp_path, images, [])
        wrong = root / "VOCdevkit/VOC2010/JPEGImages/1.jpg"
    miniature.write_image(wrong, 4, 4)
    summary = prepare(name, root)
    assert summary.made == 1
    assert "image is 4x4, its annotation 3x2" in next(iter(summary.faulty.values()))
