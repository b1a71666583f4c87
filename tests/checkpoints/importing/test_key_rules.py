"""Conversions name every key they do not know."""

import pytest
import torch

from ahs_seg.checkpoints.importing.convert_catseg import convert_catseg
from ahs_seg.checkpoints.importing.key_rules import ConversionError, Rule, check_complete, convert


def test_keys_are_mapped_split_or_ignored_with_a_reason() -> None:
    rules = [
        Rule(r"old\.(\d+)", r"new.\1"),
        Rule(r"pair", "part", change=lambda tensor: {".a": tensor[:1], ".b": tensor[1:]}),
        Rule(r"buffer.*", ignored="a constant"),
    ]
    state = {"old.3": torch.ones(1), "pair": torch.tensor([1.0, 2.0]), "buffer_x": torch.ones(1)}
    result = convert(state, rules)
    assert {key: value.tolist() for key, value in result.state.items()} == {
        "new.3": [1.0],
        "part.a": [1.0],
        "part.b": [2.0],
    }
    assert result.ignored == {"buffer_x": "a constant"}


def test_unknown_keys_are_named() -> None:
    with pytest.raises(ConversionError, match=r"2 unknown keys: extra\.bias, extra\.weight. Nothing was imported"):
        convert_catseg({"extra.bias": torch.ones(1), "extra.weight": torch.ones(1)})


def test_differences_are_named() -> None:
    with pytest.raises(
        ConversionError, match=r"1 missing: b; 1 unexpected: c; 1 with a different shape: a is \(2,\), .*\(3,\)"
    ):
        check_complete({"a": torch.ones(2), "c": torch.ones(1)}, {"a": torch.ones(3), "b": torch.ones(1)})
