"""Checkpoints of `torch.save` come back, or are refused before they take memory or time; nothing of them is run."""

import io
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError
from ahs_seg.io import pickles
from ahs_seg.io.pickles import MAX_PICKLE_BYTES, read_pickle
from tests.support.hostile import Hostile
from tests.support.memory import cost_of
from tests.support.pickled import older, zipped
from tests.support.traced import allocating_at_most


@pytest.mark.parametrize("new", [True, False])
def test_plain_checkpoints_come_back(tmp_path: Path, new: bool) -> None:
    content = {
        "model": OrderedDict(a=torch.arange(3)),
        "step": 7,
        "name": "x",
        "types": [torch.float16, torch.Size([2])],
    }
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    found = read_pickle(tmp_path / "a.pth")
    assert isinstance(found, dict)
    assert found["model"]["a"].tolist() == [0, 1, 2]
    assert (found["step"], found["name"]) == (7, "x")


def test_a_refusal_names_what_was_asked_for_and_the_remedy(tmp_path: Path) -> None:
    victim = tmp_path / "made"
    torch.save({"model": Hostile(victim)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"refers to posix\.mkdir\..*save only the state dict"):
        read_pickle(tmp_path / "a.pth")
    assert not victim.exists()


SHARED = b"\x80\x02]q\0" + b"".join(b"]q%c(h%ch%ce" % (n + 1, n, n) for n in range(40)) + b"."
HOSTILE = {
    "lists shared 2^40 times": (SHARED, "describes more than 1,000,000 values"),
    "a key shared 2^40 times": (b"\x80\x02}N" + b"2\x86" * 40 + b"K\x01s.", "describes more than 1,000,000 values"),
    "a memo of 2^28": (b"\x80\x02]r" + struct.pack("<I", 2**28) + b".", "claims place 268,435,456 of the memo"),
    "a text of 4 GB": (b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.", "is damaged"),
    "nested": (b"\x80\x02" + b"]" * 1_000 + b"a" * 999 + b".", "more than 100 containers inside one another"),
    "bytes made of a number": (
        b"\x80\x02cbuiltins\nbytearray\n\x8a\5\0\0\0\0\1\x85R.",
        r"refers to builtins\.bytearray",
    ),
}


@pytest.mark.parametrize("form", [zipped, older])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_pickle_that_claims_much_costs_little(
    tmp_path: Path, name: str, form: Callable[[bytes], bytes]
) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "a.pth"
    path.write_bytes(form(content))
    with allocating_at_most(2**24), pytest.raises(CheckpointError, match=r"a\.pth .*" + message):
        read_pickle(path)


def test_operations_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1_000)
    (tmp_path / "a.pth").write_bytes(zipped(b"\x80\x02]" + b"Na" * 1_000 + b"."))
    with pytest.raises(CheckpointError, match="has more than 1,000 operations"):
        read_pickle(tmp_path / "a.pth")


def test_a_large_pickle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(zipped(b"\x80\x02" + bytes(MAX_PICKLE_BYTES)))
    cost = cost_of(lambda: read_pickle(path))
    assert "data.pkl has 16,777,218 bytes, allowed are 16,777,216" in cost.error
    assert cost.mib < 20
    with path.open("r+b") as file:  # the older format, followed by 4 GB of values, claims one text of all of them
        file.write(older(b"\x80\x02X" + struct.pack("<I", 2**32 - 1)))
        file.truncate(2**32 + 2**20)
    cost = cost_of(lambda: read_pickle(path))
    assert "is damaged" in cost.error
    assert cost.mib < 100


def test_compressed_values_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for members in ({"data.pkl": b"\x80\x02" + bytes(2**26)}, {"data.pkl": b"\x80\x02}.", "data/0": bytes(2**26)}):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(f"archive/{name}", content)
        cost = cost_of(lambda: read_pickle(path))
        assert "in it is compressed, which torch.save does not do" in cost.error
        assert cost.mib < 20


def test_an_archive_claims_no_more_than_it_has(tmp_path: Path) -> None:
    whole = zipped(b"\x80\x02}.", {"data/0": bytes(2**16)})
    path = tmp_path / "a.pth"
    path.write_bytes(whole.replace(struct.pack("<II", 2**16, 2**16), struct.pack("<II", 2**31, 2**31)))
    with pytest.raises(CheckpointError, match=r"its 3 files claim 2,147,483,\d\d\d bytes, allowed are .* that it has"):
        read_pickle(path)
    path.write_bytes(zipped(b"\x80\x02}.", {"DATA.PKL": b"\x80\x02}."}))
    with pytest.raises(CheckpointError, match="two files of the same name"):
        read_pickle(path)


def test_a_tar_archive_under_the_name_of_the_older_format_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)[2:].decode("latin1")
    with tarfile.open(path, "w", encoding="latin1", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(magic)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"text"))
    with pytest.raises(CheckpointError, match=r"not written by torch\.save"):
        read_pickle(path)
