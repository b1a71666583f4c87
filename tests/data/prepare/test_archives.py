from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ahs_seg.data.prepare import archives, members
from ahs_seg.data.prepare.archives import is_there, place, unpack
from ahs_seg.data.prepare.members import ArchiveError

QUICK: Any = {"max_bytes": 10**6, "progress": False}
FILES = {"outer/val/a.png": b"aaa", "outer/val/deep/b.png": b"bb", "outer/train/c.png": b"c", "outer/list.txt": b"a\n"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("outer/", b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return path


def made(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tarred(path, files)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_only_what_is_wanted_is_unpacked(tmp_path, kind):
    junk = {"__MACOSX/outer/val/._a.png": b"x", "outer/val/._a.png": b"x", "outer/value/d.png": b"d"}
    archive = made(tmp_path / kind, FILES | junk)
    root = tmp_path / "root"
    count = unpack(archive, {"val/": root / "labels", "list.txt": root / "names.txt"}, **QUICK)
    assert count == 3
    assert everything(root) == {"labels/a.png": b"aaa", "labels/deep/b.png": b"bb", "names.txt": b"a\n"}
    assert is_there(root / "labels")
    assert not is_there(root / "train")


def test_endings_narrow_folders_down_but_not_files(tmp_path):
    archive = zipped(tmp_path / "a.zip", FILES | {"outer/val/e.json": b"{}"})
    unpack(archive, {"val/": tmp_path / "v", "list.txt": tmp_path / "v.txt"}, endings=("a.png",), **QUICK)
    assert everything(tmp_path / "v") == {"a.png": b"aaa"}
    assert (tmp_path / "v.txt").exists()


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.parametrize(
    "name",
    [
        *("../val/x.png", "/val/x.png", "val/../../x.png", "val\\..\\x.png", "C:/val/x.png", "val/x.png:stream"),
        *("val//tmp/x.png", "val//../x.png", "//val/x.png", "val/./x.png", "./../val/x.png", "val/a/..", "val///x"),
    ],
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path, kind, name):
    archive = made(tmp_path / kind, FILES | {name: b"evil"})
    before = everything(tmp_path)
    with pytest.raises(ArchiveError, match=r"refused, its member .* lead(s)? outside"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    archive = tarred(tmp_path / "a.tar", {"val/a.png": b""}, kind)
    with pytest.raises(ArchiveError, match=r"'val/a\.png' is a link or a device"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
    assert not (tmp_path / "root").exists()


def test_links_in_zips_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("val/a.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link or a device"):
        unpack(tmp_path / "a.zip", {"val/": tmp_path / "root"}, **QUICK)


def test_what_was_cut_off_goes_on_and_is_not_taken_for_whole(tmp_path, monkeypatch):
    archive, root = zipped(tmp_path / "a.zip", FILES), tmp_path / "root"
    real = archives._write
    written: list[str] = []

    def dies(source, target, *rest):
        if written:
            raise KeyboardInterrupt
        written.append(target.name)
        real(source, target, *rest)

    monkeypatch.setattr(archives, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, {"val/": root / "labels"}, **QUICK)
    assert (root / "labels/a.png").exists()
    assert not is_there(root / "labels")

    def counts(source, target, *rest):
        written.append(target.name)
        real(source, target, *rest)

    monkeypatch.setattr(archives, "_write", counts)
    unpack(archive, {"val/": root / "labels"}, **QUICK)
    assert written == ["a.png", "b.png"]
    assert is_there(root / "labels")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_damage_is_named(tmp_path, kind):
    archive = made(tmp_path / kind, {f"val/{k}.png": bytes(range(256)) * 40 for k in range(8)})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ArchiveError, match=rf"{kind} is damaged or incomplete"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)


def test_another_archive_of_that_name(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"cats/1.png": b"1"})
    with pytest.raises(ArchiveError, match=r"holds no val/; its first members are cats/1\.png"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)


def absolute(tmp_path: Path, kind: str) -> tuple[Path, Path]:
    victim = tmp_path / "home" / "authorized_keys"
    victim.parent.mkdir()
    return victim, made(tmp_path / kind, {"val/a.png": b"a", f"val/{victim}": b"evil"})


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_empty_part_of_a_name_does_not_lead_to_an_absolute_place(tmp_path, kind):
    victim, archive = absolute(tmp_path, kind)
    with pytest.raises(ArchiveError, match="has an empty part"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
    assert not victim.exists()
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_a_link_below_the_target_is_not_followed(tmp_path, kind):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "deep").symlink_to(outside, target_is_directory=True)
    archive = made(tmp_path / kind, FILES)
    with pytest.raises(ArchiveError, match=r"deep/b\.png' leads outside of the folder .* Remove the link"):
        unpack(archive, {"val/": root}, **QUICK)
    assert not everything(outside)
    real = tmp_path / "elsewhere"  # the folder of the dataset itself may be a link, to a larger disk
    real.mkdir()
    (tmp_path / "linked").symlink_to(real, target_is_directory=True)
    assert unpack(archive, {"val/": tmp_path / "linked"}, **QUICK) == 2


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("val/a.png", "val/A.PNG"), ("val/a.png", "other/val/a.png"), ("val/a.png", "val/a.png.")),
        *(("val/\u00e9.png", "val/e\u0301.png"), ("val/stra\u00dfe", "val/STRASSE")),
    ],
)
def test_members_that_would_be_one_file_are_refused(tmp_path, kind, first, second):
    archive = made(tmp_path / kind, {first: b"1", second: b"2"})
    with pytest.raises(ArchiveError, match="would be the same file as"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
    assert not (tmp_path / "root").exists()


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for content in (b"1", b"2"):
            info = tarfile.TarInfo("val/a.png")
            info.size = 1
            archive.addfile(info, io.BytesIO(content))
    with pytest.raises(ArchiveError, match="would be the same file"):
        unpack(tmp_path / "a.tar", {"val/": tmp_path / "root"}, **QUICK)


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_a_file_where_others_need_a_folder_is_refused(tmp_path, kind):
    archive = made(tmp_path / kind, {"val/a/b.png": b"1", "val/A": b"2"})
    with pytest.raises(ArchiveError, match="'val/A' is a file where other members need a folder"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)


def sparse(path: Path, size: int) -> Path:
    """A tar of one member without content, which unpacks to `size` zeros."""
    info = tarfile.TarInfo("val/a.png")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(size), "GNU.sparse.realsize": str(size)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    return path


def test_a_sparse_member_counts_with_its_full_size(tmp_path):
    assert unpack(sparse(tmp_path / "small.tar", 4000), {"val/": tmp_path / "small"}, **QUICK) == 1
    assert (tmp_path / "small/a.png").read_bytes() == bytes(4000)
    archive = sparse(tmp_path / "a.tar", 1_400_000_000)
    with pytest.raises(ArchiveError, match=r"'val/a\.png' would have 1,400,000,000 bytes; allowed are 67,108,864"):
        unpack(archive, {"val/": tmp_path / "root"}, max_bytes=10**10, progress=False)
    assert not (tmp_path / "root").exists()


def test_an_archive_unpacks_to_no_more_than_its_dataset_has(tmp_path):
    archive = zipped(tmp_path / "a.zip", {f"val/{k}.png": bytes(600) for k in range(4)})
    with pytest.raises(ArchiveError, match=r"would unpack to 2,400 bytes in 4 files; this dataset has at most 2,000"):
        unpack(archive, {"val/": tmp_path / "root"}, max_bytes=2000, progress=False)
    assert not (tmp_path / "root").exists()
    assert unpack(archive, {"val/": tmp_path / "root"}, max_bytes=2400, progress=False) == 4


def test_a_small_archive_does_not_unpack_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "FREE_BYTES", 1000)
    monkeypatch.setattr(members, "MAX_RATIO", 100)
    for archive in (made(tmp_path / kind, {"val/a.png": bytes(500_000)}) for kind in ("a.zip", "a.tar.gz")):
        assert archive.stat().st_size < 2000
        with pytest.raises(ArchiveError, match=r"would unpack to 500,000 bytes|more than 100 times its size"):
            unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
        assert not (tmp_path / "root").exists()


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    archive = made(tmp_path / "a.tar", {f"val/{k}.png": b"" for k in range(4)})
    with pytest.raises(ArchiveError, match="in 4 files; this dataset has at most 1,000,000 bytes in 3 files"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)


def test_a_file_that_is_placed_is_bounded_too(tmp_path):
    (tmp_path / "a.json").write_bytes(bytes(100))
    with pytest.raises(ArchiveError, match="100 bytes; at most 99 are expected"):
        place(tmp_path / "a.json", tmp_path / "b.json", max_bytes=99)
    assert not (tmp_path / "b.json").exists()


def lying(path: Path, size: int) -> Path:
    """A zip whose directory says that its second member has another size than it has."""
    zipped(path, {"val/0.png": b"fine", "val/1.png": bytes(range(100))})
    content = path.read_bytes()
    place = content.rindex(b"PK\x01\x02") + 24
    path.write_bytes(content[:place] + size.to_bytes(4, "little") + content[place + 4 :])
    return path


@pytest.mark.parametrize("size", [50, 5000])
def test_a_header_that_lies_leaves_no_file(tmp_path, size):
    archive = lying(tmp_path / "a.zip", size)
    with pytest.raises(ArchiveError, match=r"a\.zip is damaged or incomplete \((Bad CRC-32|1\.png has 100 of 5,000)"):
        unpack(archive, {"val/": tmp_path / "root"}, **QUICK)
    assert not everything(tmp_path / "root")
    assert not is_there(tmp_path / "root")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_flipped_bytes_end_in_a_message_or_the_right_files(tmp_path, kind):
    content = {f"val/{k}.png": bytes(range(256)) * (k + 1) for k in range(3)}
    original = made(tmp_path / kind, content).read_bytes()
    random = np.random.default_rng(0)
    for case in range(60):
        damaged = bytearray(original)
        for place_ in random.integers(0, len(damaged), 3):
            damaged[place_] ^= 1 << int(random.integers(8))
        archive, root = tmp_path / f"{case}{kind}", tmp_path / f"root{case}"
        archive.write_bytes(damaged[: len(damaged) - int(random.integers(3) == 0) * int(random.integers(len(damaged)))])
        try:
            unpack(archive, {"val/": root}, **QUICK)
        except ArchiveError:
            assert not is_there(root)
            assert not root.exists() or not everything(root)
        else:
            assert is_there(root)
            if not kind.endswith("r"):  # a tar file has checksums of its headers only
                assert everything(root) == {name.removeprefix("val/"): data for name, data in content.items()}
