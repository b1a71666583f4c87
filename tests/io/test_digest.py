"""Digests against `hashlib` on bytes written out by hand."""

import hashlib
import os
from pathlib import Path

import torch

from ahs_seg.io.digest import file_digest, files_digest, labelled, weights_digest


def test_a_file_has_the_digest_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert file_digest(path) == hashlib.sha256(b"abc").hexdigest()
    assert file_digest(path, "md5") == hashlib.md5(b"abc").hexdigest()


def test_weights_are_hashed_with_name_type_and_shape() -> None:
    weights = [("a", torch.tensor([[1, 2]], dtype=torch.uint8)), ("b", torch.tensor(3, dtype=torch.uint8))]
    expected = b"head" + b"a torch.uint8 (1, 2)" + b"\x01\x02" + b"b torch.uint8 ()" + b"\x03"
    assert weights_digest(labelled(weights), start=b"head") == hashlib.sha256(expected).hexdigest()


def test_the_order_in_memory_does_not_count_and_every_bit_does() -> None:
    weights = torch.randn(4, 6)
    first = weights_digest(labelled([("a", weights)]))
    assert weights_digest(labelled([("a", weights.T.contiguous().T)])) == first
    changed = weights.clone()
    changed.view(torch.int32)[3, 5] ^= 1
    assert weights_digest(labelled([("a", changed)])) != first


def test_the_state_of_files_has_names_sizes_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    states = [files_digest([("a", path)])]
    assert states == [hashlib.sha256(b"a\0\0").hexdigest()[:12]]
    for content, time in ((b"abc", 1), (b"abc", 2), (b"abcd", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        states.append(files_digest([("a", path)]))
    states.append(files_digest([("b", path)]))
    assert len(set(states)) == 5
    assert files_digest([("b", path)]) == states[-1]
