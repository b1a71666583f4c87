"""Cached image features stay within the memory limit."""

import torch

from ahs_seg.demo.web.feature_cache import ByteLRU, CachedMethod, digest, held_bytes
from ahs_seg.methods import ZeroShotSegmenter
from ahs_seg.types import ImageFeatures
from tests.support.builders import random_backbone


def test_the_store_forgets_what_was_unused_for_longest() -> None:
    store = ByteLRU(memory_bytes=100)
    for name in "abc":
        store.keep((name,), torch.zeros(10))
    assert store.find(("a",)) is None
    assert store.find(("b",)) is not None
    store.keep(("d",), torch.zeros(10))
    assert store.find(("c",)) is None
    assert len(store) == 2


def test_a_value_that_is_too_large_replaces_the_earlier_one_by_none() -> None:
    store = ByteLRU(memory_bytes=100)
    store.keep(("a",), torch.zeros(10))
    store.keep(("b",), torch.zeros(10))
    store.keep(("a",), torch.zeros(26))
    assert store.find(("a",)) is None, "not what was kept before"
    assert store.find(("b",)) is not None
    store.keep(("a",), torch.zeros(15))
    assert len(store) == 2


def test_sizes_and_digests() -> None:
    features = ImageFeatures(torch.zeros(1, 2, 3, 3), (torch.zeros(1, 4, 3, 3),))
    assert held_bytes(features) == 4 * (18 + 36)
    assert digest(torch.zeros(2, 3)) != digest(torch.zeros(3, 2))
    assert digest(torch.zeros(2, 3)) == digest(torch.zeros(2, 3))


def test_methods_do_not_share_what_is_kept() -> None:
    store, images, text = ByteLRU(), torch.rand(1, 3, 64, 64), torch.rand(2, 1, 24)
    one, other = (ZeroShotSegmenter(random_backbone(seed=seed), temperature=0.01).eval() for seed in (0, 1))
    with torch.inference_mode():
        kept = [CachedMethod(method, store, name=str(n))(images, text) for n, method in enumerate((one, other))]
        assert torch.equal(kept[0].logits, one(images, text).logits)
        assert torch.equal(kept[1].logits, other(images, text).logits)
