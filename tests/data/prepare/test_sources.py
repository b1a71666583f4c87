"""Published files: found however they are packed, asked for with their address, never fetched unasked."""

import zipfile
from pathlib import Path

import pytest

from ahs_seg.data.prepare.errors import MissingSourceError
from ahs_seg.data.prepare.sources import ArchiveSource, provide

IMAGES = ArchiveSource(
    file="images.tar.gz", members={"set/val/": "data/images"}, page="http://page/", url="http://u/", max_bytes=100
)
LIST = ArchiveSource(file="val.txt", members={"": "data/val.txt"}, page="http://list/", max_bytes=100)


def archive(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("set/val/a.jpg", b"A")
        zipped.writestr("set/train/b.jpg", b"B")
    return path


def test_an_archive_is_found_as_published_or_packed_otherwise(tmp_path: Path) -> None:
    assert IMAGES.find([tmp_path]) is None
    other = archive(tmp_path / "second" / "images.zip")
    assert IMAGES.find([tmp_path, tmp_path / "second"]) == other
    assert LIST.find([tmp_path / "second"]) is None


@pytest.mark.parametrize("folder", ["", "downloads", "elsewhere"])
def test_what_is_there_is_unpacked_into_its_place(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "root"
    archive((tmp_path if folder == "elsewhere" else root) / folder / "images.zip")
    assert not IMAGES.is_unpacked(root)
    provide([IMAGES], root, archives=[tmp_path / "elsewhere"], progress=False)
    assert IMAGES.is_unpacked(root)
    assert [path.name for path in (root / "data/images").glob("*.jpg")] == ["a.jpg"]
    provide([IMAGES], root, progress=False)  # nothing is missing, so nothing is looked for


def test_missing_files_are_listed_together_with_where_to_get_and_put_them(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError) as error:
        provide([IMAGES, LIST], tmp_path, progress=False)
    text = str(error.value)
    assert text.startswith("2 of 2 files are missing:")
    assert "images.tar.gz: --download fetches it from http://u/" in text
    assert f"val.txt: get it from http://list/; put it in {tmp_path}" in text
    assert str(tmp_path / "data/val.txt") in text


def test_a_plain_file_is_moved_to_its_place(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/val.txt").write_text("a\n")
    provide([LIST], tmp_path, progress=False)
    assert (tmp_path / "data/val.txt").read_text() == "a\n"
