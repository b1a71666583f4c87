"""Embeddings on disk: shared, repaired, and never in the way."""

from pathlib import Path

import pytest
import torch

from ahs_seg.inference.text_cache import TextCache
from tests.support.prompts import table


def test_disk_serves_another_process(backbone, tmp_path: Path):
    first = TextCache(tmp_path).encode(backbone, table())
    other = TextCache(tmp_path)
    assert torch.equal(other.encode(backbone, table("lamp, cat")), first[[2, 0]])
    assert backbone.calls == [3]
    other.encode(backbone, table("lamp, cat, door"))
    assert backbone.calls == [3, 1]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert not list(tmp_path.rglob(".*"))


def test_two_open_caches_share_new_entries(backbone, tmp_path: Path):
    one, two = TextCache(tmp_path), TextCache(tmp_path)
    one.encode(backbone, table("cat"))
    two.encode(backbone, table("sofa"))
    one.encode(backbone, table("cat, sofa"))
    assert backbone.calls == [1, 1]


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "text"])
def test_damaged_files_are_replaced(backbone, tmp_path: Path, damage, caplog):
    expected = TextCache(tmp_path).encode(backbone, table())
    (path,) = tmp_path.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    damaged = {"truncated": bytes(content[:-20]), "one bit": bytes(content), "empty": b"", "text": b"hello"}[damage]
    path.write_bytes(damaged)
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]
    assert "damaged" in caplog.text
    assert torch.equal(TextCache(tmp_path).encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]


def test_deleted_directory_is_filled_again(backbone, tmp_path: Path):
    cache = TextCache(tmp_path / "cache", memory_bytes=0)
    expected = cache.encode(backbone, table())
    for path in tmp_path.rglob("*.safetensors"):
        path.unlink()
    assert torch.equal(cache.encode(backbone, table()), expected)
    assert torch.equal(cache.encode(backbone, table()), expected)
    assert backbone.calls == [3, 3]


def test_directory_that_cannot_be_written_is_reported(backbone, tmp_path: Path, caplog):
    (tmp_path / "file").write_text("")
    text = TextCache(tmp_path / "file").encode(backbone, table())
    assert text.shape == (3, 1, 24)
    assert "cannot be stored" in caplog.text
