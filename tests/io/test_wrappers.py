"""What training code adds around the keys of a network is removed, and said."""

from collections.abc import Collection

import pytest

from ahs_seg.io.wrappers import PREFIXES, unwrap

KEYS = {"conv.weight": 1, "conv.bias": 2}


def known(names: Collection[str]) -> bool:
    return "conv.weight" in names


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_all_keys_is_removed_and_said(prefix: str) -> None:
    found = unwrap({prefix + key: value for key, value in KEYS.items()}, known)
    assert found.tensors == KEYS
    assert prefix in found.removed[0]
    assert not found.left_out


def test_prefixes_in_prefixes() -> None:
    found = unwrap({f"model._orig_mod.module.{key}": value for key, value in KEYS.items()}, known)
    assert found.tensors == KEYS
    assert len(found.removed) == 3


def test_an_average_keeps_its_number_beside_the_weights() -> None:
    found = unwrap({"n_averaged": 0, **{f"module.{key}": value for key, value in KEYS.items()}}, known)
    assert found.tensors == KEYS
    assert found.left_out == {"n_averaged": "the number of averaged steps"}


def test_of_weights_and_their_average_the_weights_are_used() -> None:
    both = {f"model.{key}": value for key, value in KEYS.items()} | {f"ema.{key}": 0 for key in KEYS} | {"loss.w": 0}
    found = unwrap(both, known)
    assert found.tensors == KEYS
    assert sorted(found.left_out or ()) == ["ema.conv.bias", "ema.conv.weight", "loss.w"]


@pytest.mark.parametrize("keys", [KEYS, {"other.weight": 1}, {"module.a": 1, "b": 2}, {}])
def test_keys_without_a_wrapper_stay(keys: dict[str, int]) -> None:
    found = unwrap(keys, known)
    assert (found.tensors, found.removed) == (keys, ())
