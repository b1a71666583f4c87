from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ahs_seg.data.prepare import archives
from ahs_seg.data.prepare.archives import ArchiveError, is_there, unpack

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
    count = unpack(archive, {"val/": root / "labels", "list.txt": root / "names.txt"}, progress=False)
    assert count == 3
    assert everything(root) == {"labels/a.png": b"aaa", "labels/deep/b.png": b"bb", "names.txt": b"a\n"}
    assert is_there(root / "labels")
    assert not is_there(root / "train")


def test_endings_narrow_folders_down_but_not_files(tmp_path):
    archive = zipped(tmp_path / "a.zip", FILES | {"outer/val/e.json": b"{}"})
    unpack(archive, {"val/": tmp_path / "v", "list.txt": tmp_path / "v.txt"}, endings=("a.png",), progress=False)
    assert everything(tmp_path / "v") == {"a.png": b"aaa"}
    assert (tmp_path / "v.txt").exists()


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.parametrize("name", ["../val/x.png", "/val/x.png", "val/../../x.png", "val\\..\\x.png", "C:/val/x.png"])
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path, kind, name):
    archive = made(tmp_path / kind, FILES | {name: b"evil"})
    before = everything(tmp_path)
    with pytest.raises(ArchiveError, match=r"refused, its member .* leads outside"):
        unpack(archive, {"val/": tmp_path / "root"}, progress=False)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    archive = tarred(tmp_path / "a.tar", {"val/a.png": b""}, kind)
    with pytest.raises(ArchiveError, match=r"'val/a\.png' is a link or a device"):
        unpack(archive, {"val/": tmp_path / "root"}, progress=False)
    assert not (tmp_path / "root").exists()


def test_links_in_zips_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("val/a.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link or a device"):
        unpack(tmp_path / "a.zip", {"val/": tmp_path / "root"}, progress=False)


def test_what_was_cut_off_goes_on_and_is_not_taken_for_whole(tmp_path, monkeypatch):
    archive, root = zipped(tmp_path / "a.zip", FILES), tmp_path / "root"
    real = archives._write
    written: list[str] = []

    def dies(source, target, size):
        if written:
            raise KeyboardInterrupt
        written.append(target.name)
        real(source, target, size)

    monkeypatch.setattr(archives, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, {"val/": root / "labels"}, progress=False)
    assert (root / "labels/a.png").exists()
    assert not is_there(root / "labels")

    def counts(source, target, size):
        written.append(target.name)
        real(source, target, size)

    monkeypatch.setattr(archives, "_write", counts)
    unpack(archive, {"val/": root / "labels"}, progress=False)
    assert written == ["a.png", "b.png"]
    assert is_there(root / "labels")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_damage_is_named(tmp_path, kind):
    archive = made(tmp_path / kind, {f"val/{k}.png": bytes(range(256)) * 40 for k in range(8)})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ArchiveError, match=rf"{kind} is damaged or incomplete"):
        unpack(archive, {"val/": tmp_path / "root"}, progress=False)


def test_another_archive_of_that_name(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"cats/1.png": b"1"})
    with pytest.raises(ArchiveError, match=r"holds no val/; its first members are outer/, cats/1\.png"):
        unpack(archive, {"val/": tmp_path / "root"}, progress=False)
