from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ahs_seg.data.prepare import members
from ahs_seg.data.prepare.members import ArchiveError, opened_archive, unpacked_limit
from tests.support.traced import allocating_at_most


def listed(archive: Path) -> list[tuple[str, int, str]]:
    with opened_archive(archive) as found:
        return [(member.name, member.size, member.problem) for member in found]


def tarred(path: Path, names: list[str], *, kind: bytes = tarfile.REGTYPE, packed: bool = False) -> Path:
    with tarfile.open(path, "w:gz" if packed else "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"abc"))
    return path


def test_files_are_listed_without_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("./")
        archive.mkdir("val")
        archive.writestr("./val/a", b"abc")
    assert listed(tmp_path / "a.zip") == [("val/a", 3, "")]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        (tmp_path / "val").mkdir()
        (tmp_path / "val/a").write_bytes(b"abc")
        tar.add(tmp_path / "val", "./val")
    assert listed(tmp_path / "a.tar") == [("val/a", 3, "")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_without_a_bound_on_memory_are_named(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("val/a", bytes(1000))
    (_, _, problem), *_ = listed(tmp_path / "a.zip")
    assert problem.startswith(f"is compressed with method {method}, allowed are 0 (stored) and 8 (deflated)")


def patched(path: Path, offset: int, value: int) -> Path:
    """A zip of one member whose directory entry holds another 16-bit value at an offset."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("val/a", b"abc")
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + offset
    content[place : place + 2] = value.to_bytes(2, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("offset", "value", "message"), [(8, 1, "is encrypted"), (10, 99, "method 99"), (10, 14, "14")]
)
def test_encrypted_and_unknown_members_of_a_zip_are_named(tmp_path, offset, value, message):
    assert message in listed(patched(tmp_path / "a.zip", offset, value))[0][2]


@pytest.mark.parametrize("mode", [0o010644, 0o020644, 0o060644, 0o120777, 0o140777])
def test_links_devices_pipes_and_sockets_in_a_zip_are_refused(tmp_path, mode):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("val/a")
        info.external_attr = mode << 16
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(ArchiveError, match="is a link or a device"):
        listed(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE, b"Z"])
def test_links_devices_pipes_and_unknown_types_in_a_tar_are_refused(tmp_path, kind):
    with pytest.raises(ArchiveError, match="is a link or a device"):
        listed(tarred(tmp_path / "a.tar", ["a"], kind=kind))


@pytest.mark.parametrize("keep", [512, 1024, 1536])
def test_a_tar_that_ends_between_two_members_is_not_taken_for_whole(tmp_path, keep):
    archive = tarred(tmp_path / "a.tar", ["a", "b", "c"])
    archive.write_bytes(archive.read_bytes()[: keep // 512 * 1024])
    with pytest.raises(ArchiveError, match="no end mark after its members"):
        listed(archive)


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_header_in_the_middle_does_not_end_the_list_in_silence(tmp_path, packed):
    content = bytearray(tarred(tmp_path / "b.tar", ["a", "b", "c"]).read_bytes())
    content[1024 + 150] ^= 1
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    with pytest.raises(ArchiveError, match="no end mark after its members"):
        listed(archive)


def test_the_checksum_at_the_end_of_a_gzip_file_is_read(tmp_path):
    archive = tarred(tmp_path / "a.tar.gz", ["a"], packed=True)
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"is damaged or incomplete .*CRC"):
        listed(archive)


def long_header(path: Path, kind: bytes, size: int) -> Path:
    """A packed tar whose first member has a header of `size` zeros."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    with gzip.open(path, "wb", 9) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(-(-size // 2**20)):
            file.write(bytes(2**20))
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_long_headers_are_refused_before_they_are_read(tmp_path, kind):
    archive = long_header(tmp_path / "a.tar.gz", kind, 2**25)
    with (
        allocating_at_most(20 * 2**20),
        pytest.raises(ArchiveError, match="has more than 262,144 bytes"),
    ):
        listed(archive)


def test_a_sparse_map_without_end_is_refused(tmp_path):
    info = tarfile.TarInfo("val/a")
    info.size = 2**27
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT))
        file.write(b"99999999\n" + b"0\n" * 2**22)
    with pytest.raises(ArchiveError, match="header of a member has more than"):
        listed(tmp_path / "a.tar.gz")


def test_a_header_that_leads_back_does_not_go_round_for_ever(tmp_path):
    header = bytearray(tarfile.TarInfo("val/b").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")  # a size of -1024
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    first = tarfile.TarInfo("val/a").tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(first + bytes(header) + bytes(1024))
    with pytest.raises(ArchiveError, match="is damaged or incomplete"):
        listed(tmp_path / "a.tar")


def test_shared_headers_are_not_copied_for_every_member(tmp_path):
    headers = {f"k{number}": "v" for number in range(2000)}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        archive.addfile(tarfile.TarInfo("val/a"))
    with pytest.raises(ArchiveError, match="is damaged or incomplete"):
        listed(tmp_path / "a.tar")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_MEMBERS", 2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in "abc":
            archive.writestr(name, b"")
    for path in (tmp_path / "a.zip", tarred(tmp_path / "a.tar", ["a", "b", "c"])):
        with pytest.raises(ArchiveError, match="more than 2 members"):
            listed(path)


def test_what_may_be_unpacked_follows_the_size_of_the_archive(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    assert unpacked_limit(tmp_path / "a") == 64 * 2**20 + 200_000
