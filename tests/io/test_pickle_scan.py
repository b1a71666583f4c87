"""Pickles are compared with limits, and what they ask for is found, without running them."""

import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import pytest

from ahs_seg.io.pickle_scan import PickleLimitError, check_pickles, requested
from tests.support.hostile import Hostile
from tests.support.traced import allocating_at_most


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_names_are_found_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    victim = tmp_path / "made"
    content = pickle.dumps([Hostile(victim), OrderedDict(a=1)], protocol)
    assert set(requested(content, operations=100)) >= {"posix.mkdir", "collections.OrderedDict"}
    assert check_pickles(content, operations=100) == len(content)
    assert not victim.exists()


def test_plain_values_ask_for_nothing() -> None:
    assert list(requested(pickle.dumps({"a": [1, 2.5, "text", None, True]}), operations=100)) == []
    assert list(requested(b"", operations=100)) == []
    assert list(requested(b"no pickle at all", operations=100)) == []


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_ordinary_values_of_every_kind_pass(protocol: int) -> None:
    shared = ["x", (1, 2)]
    values = [
        shared,
        shared,
        {"a": {1, 2}, "b": frozenset([3])},
        OrderedDict(a=shared),
        b"bytes",
        2**70,
        list(range(3_000)),
    ]
    twice = pickle.dumps(values, protocol) * 2
    assert check_pickles(twice + b"rest", operations=100_000, pickles=2) == len(twice)


CLAIMS = {
    "memo": (
        b"\x80\x02]r" + struct.pack("<I", 2**28) + b".",
        r"claims place 268,435,456 of the memo after 2 operations",
    ),
    "memo as text": (b"(lp268435456\n.", "claims place 268,435,456 of the memo"),
    "nested tuples": (b"\x80\x02N" + b"\x85" * 1_000 + b".", "more than 100 containers inside one another"),
    "nested lists": (b"\x80\x02" + b"]" * 1_000 + b"a" * 999 + b".", "more than 100 containers inside one another"),
    "shared tuples": (b"\x80\x02N" + b"2\x86" * 40 + b".", "describes more than 10,000 values"),
    "shared text": (
        b"\x80\x02]q\0(X\0\0\x10\0" + b"x" * 2**20 + b"q\1" + b"h\1" * 99 + b"e.",
        "more than 10,000 values",
    ),
    "itself": (b"\x80\x02]q\0h\0a.", "fills a container that is part of another one, or of itself"),
    "filled later": (b"\x80\x02]q\0]q\1h\0ah\0h\1a.", "fills a container that is part of another one"),
    "many operations": (b"\x80\x02]" + b"Na" * 10_000 + b".", "more than 10,000 operations"),
    "text of 4 GB": (b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.", "is damaged .*unicodestring4"),
    "bytes of 2^62": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "is damaged"),
    "number of 2 GB": (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\1.", "is damaged"),
    "nothing on the stack": (b"\x80\x02.", "is damaged"),
    "a mark for a value": (b"\x80\x02(\x85.", "is damaged .*a mark for a value"),
    "no such place": (b"\x80\x02h\5.", "is damaged"),
    "cut": (b"\x80\x02]", "is damaged"),
    "nothing": (b"", "is damaged"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_compared_before_memory_is_asked_for(name: str) -> None:
    content, message = CLAIMS[name]
    with allocating_at_most(2**24), pytest.raises(PickleLimitError, match=message):
        check_pickles(content, operations=10_000)


def test_all_operations_of_several_pickles_count() -> None:
    one = pickle.dumps([1])
    assert check_pickles(one * 5, operations=100, pickles=5) == 5 * len(one)
    with pytest.raises(PickleLimitError, match="more than 20 operations"):
        check_pickles(one * 5, operations=20, pickles=5)
