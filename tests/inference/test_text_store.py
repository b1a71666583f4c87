"""Embeddings on disk: shared, bounded, private, repaired, without effect on any bit, and never in the way."""

import hashlib
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from ahs_seg.inference.text_cache import TextCache
from ahs_seg.segmenter import Segmenter
from tests.support.prompts import table


def test_disk_serves_another_process(backbone, tmp_path: Path):
    first = TextCache(tmp_path).encode(backbone, table())
    assert torch.equal(TextCache(tmp_path).encode(backbone, table("lamp, cat, sofa")), first[[2, 0, 1]])
    assert backbone.calls == [3]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert not list(tmp_path.rglob(".*"))


def test_what_earlier_runs_stored_changes_no_bit(backbone, tmp_path: Path):
    for known in ("cat", "lamp, cat", "cat, sofa, door", "lamp, sofa, cat, door"):
        TextCache(tmp_path).encode(backbone, table(known))
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), TextCache().encode(backbone, table()))
    one, two = TextCache(tmp_path), TextCache()
    for known in ("cat, sofa", "door, cat, lamp", "lamp"):
        assert torch.equal(one.encode(backbone, table(known)), two.encode(backbone, table(known)))


def test_a_name_added_to_a_long_list_costs_one_batch_or_two(backbone, tmp_path: Path):
    names = [f"thing {index}" for index in range(200)]
    TextCache(tmp_path, batch=16).encode(backbone, table(", ".join(names)))
    assert sum(backbone.calls) == 200
    assert max(backbone.calls) <= 16
    before = len(backbone.calls)
    TextCache(tmp_path, batch=16).encode(backbone, table(", ".join([*names, "thing 77b"])))
    assert len(backbone.calls) - before <= 2


def test_other_arithmetic_is_another_entry(backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    TextCache(tmp_path).encode(backbone, table())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    TextCache(tmp_path).encode(backbone, table())
    monkeypatch.setattr(torch, "__version__", "99.0")
    TextCache(tmp_path).encode(backbone, table())
    assert backbone.calls == [3, 3, 3]


def test_folders_are_private(backbone, tmp_path: Path):
    TextCache(tmp_path / "a" / "text").encode(backbone, table())
    folders = [tmp_path / "a" / "text", *(tmp_path / "a" / "text").iterdir()]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]


def test_the_least_recently_used_are_removed(backbone, tmp_path: Path):
    for index in range(6):
        TextCache(tmp_path, max_bytes=1000).encode(backbone, table(f"thing {index}"))
        TextCache(tmp_path, max_bytes=1000).encode(backbone, table("thing 0"))
        time.sleep(0.01)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 1000
    before = len(backbone.calls)
    TextCache(tmp_path, max_bytes=1000).encode(backbone, table("thing 0"))
    assert len(backbone.calls) == before, "it was used all the time"
    TextCache(tmp_path, max_bytes=1000).encode(backbone, table("thing 1"))
    assert len(backbone.calls) == before + 1
    TextCache(tmp_path / "small", max_bytes=10).encode(backbone, table())
    assert not list((tmp_path / "small").rglob("*.safetensors"))


def forged(rows: torch.Tensor, count: int) -> bytes:
    digest = hashlib.sha256(rows.numpy().tobytes()).digest()
    return save({"embeddings": rows.repeat(count, 1), "digest": torch.frombuffer(bytearray(digest), dtype=torch.uint8)})


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "text", "forged", "other shape", "pickle"])
def test_damaged_files_are_replaced(backbone, tmp_path: Path, damage, caplog):
    expected = TextCache(tmp_path).encode(backbone, table())
    (path,) = tmp_path.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    damaged = {
        "truncated": bytes(content[:-20]),
        "one bit": bytes(content),
        "empty": b"",
        "text": b"hello",
        "forged": forged(torch.ones(1, 24), 3),
        "other shape": forged(torch.ones(1, 24), 2),
        "pickle": pickle.dumps(expected),
    }[damage]
    path.write_bytes(damaged)
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]
    assert "damaged" in caplog.text
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]


def test_deleted_directory_is_filled_again(backbone, tmp_path: Path):
    cache = TextCache(tmp_path / "cache", memory_bytes=0)
    expected = cache.encode(backbone, table())
    shutil.rmtree(tmp_path / "cache")
    assert torch.equal(cache.encode(backbone, table()), expected)
    assert torch.equal(cache.encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]


def test_directory_that_cannot_be_written_is_reported_once(backbone, tmp_path: Path, caplog):
    (tmp_path / "file").write_text("")
    cache = TextCache(tmp_path / "file")
    text = cache.encode(backbone, table())
    assert text.shape == (3, 1, 24)
    cache.encode(backbone, table("door"))
    assert caplog.text.count("not kept on disk") == 1


def test_a_directory_that_can_only_be_read_serves(backbone, tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch):
    def read_only(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    expected = TextCache(tmp_path).encode(backbone, table())
    monkeypatch.setattr(os, "utime", read_only)
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), expected)
    assert backbone.calls == [3]
    assert not caplog.text


def test_a_full_disk_is_reported_once(backbone, tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("ahs_seg.inference.text_store.write_bytes", full)
    cache = TextCache(tmp_path)
    for names in ("cat", "sofa"):
        assert torch.equal(cache.encode(backbone, table(names)), TextCache().encode(backbone, table(names)))
    assert caplog.text.count("No space left on device") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners of POSIX")
def test_a_folder_of_another_user_is_not_used(backbone, tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 123456)
    TextCache(tmp_path).encode(backbone, table())
    assert "belongs to another user" in caplog.text
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_second_run_encodes_nothing_and_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = [sys.executable, "-m", "tests.support.programs.second_run"]
    result = Segmenter.from_pretrained("clip:tiny")(np.full((96, 96, 3), 90, np.uint8), "sky, grass, a tree")
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    assert found["encodings"] == []
    assert found["scores"] == result.scores.ravel().tolist()[:50]
    assert found["imported"] == found["later"] == []
    assert found["drawn"] == [0.3251, 0.0902], "seeded runs keep their random numbers"
