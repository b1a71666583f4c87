"""Cache of image features and outputs between requests: new classes for the same image reuse its features."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Final

import numpy as np
from cachetools import LRUCache
from jaxtyping import Float
from torch import Tensor

from ahs_seg.errors import AhsSegError
from ahs_seg.io.digest import labelled, weights_digest
from ahs_seg.io.precision import Precision, dtype_name
from ahs_seg.methods.base import Method
from ahs_seg.methods.wrapped import WrappedMethod
from ahs_seg.types import ImageFeatures, Output, Words

CACHE_BYTES: Final = 512 * 2**20
"""Image features and outputs kept for further requests about the same image."""


class TimeUpError(AhsSegError, RuntimeError):
    """A request exceeded its time limit."""


@dataclass
class Times:
    """Seconds that a request spent on encoding and decoding; None: the result was cached.

    After the `deadline` (of `time.monotonic`) no further step starts. `words` is the text input of the method, and
    `dtype` the type in which it computes.
    """

    encoding: float | None = None
    decoding: float | None = None
    deadline: float = float("inf")
    words: Words | None = None
    dtype: Precision = "fp32"

    def check(self) -> None:
        """Raise `TimeUpError` after the deadline."""
        if time.monotonic() > self.deadline:
            raise TimeUpError


class ByteLRU:
    """Thread-safe LRU cache of values by key, limited to `memory_bytes` of tensors and arrays."""

    def __init__(self, *, memory_bytes: int = CACHE_BYTES) -> None:
        self._held: LRUCache[tuple[object, ...], object] = LRUCache(memory_bytes, getsizeof=held_bytes)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, key: tuple[object, ...]) -> object | None:
        """Cached value of this key, or None."""
        with self._lock:
            return self._held.get(key)

    def drop(self, key: tuple[object, ...]) -> None:
        """Remove the value of this key, if there is one."""
        with self._lock:
            self._held.pop(key, None)

    def keep(self, key: tuple[object, ...], value: object) -> None:
        """Store a value and evict the least recently used ones.

        A value larger than the whole cache is not stored; the earlier value of its key is removed all the same.
        """
        with self._lock:
            self._held.pop(key, None)
            if held_bytes(value) <= self._held.maxsize:
                self._held[key] = value


class CachedMethod(WrappedMethod):
    """Wraps a method and caches image features and outputs; the outputs are those of the method.

    `name` distinguishes the method from others in the same store.
    """

    def __init__(self, method: Method, store: ByteLRU, *, name: str) -> None:
        super().__init__(method)
        self.compute_dtype = method.compute_dtype
        self.store = store
        self.name = name
        self._local = threading.local()

    @contextmanager
    def timed(self, *, deadline: float = float("inf")) -> Iterator[Times]:
        """Context that measures the encoding and decoding time of forward passes in this thread."""
        self._local.times = times = Times(deadline=deadline, dtype=dtype_name(self.compute_dtype))
        try:
            yield times
        finally:
            del self._local.times

    def forward(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """Output of the method, cached by images and text."""
        times: Times = getattr(self._local, "times", None) or Times()
        times.words = text
        seen = digest(images)
        key = (self.name, seen, *map(digest, tensors_of(text)))
        known = self.store.find(key)
        if isinstance(known, Output):
            return known
        times.check()
        features = self._features(images, seen, times)
        times.check()
        began = time.monotonic()
        output = self.method.decode(features, text)
        times.decoding = (times.decoding or 0.0) + time.monotonic() - began
        self.store.keep(key, output)
        return output

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features of the method, not cached."""
        return self.method.encode(images)

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """Output of the method for image features and text, not cached."""
        return self.method.decode(features, text)

    def _features(self, images: Tensor, seen: str, times: Times) -> ImageFeatures:
        known = self.store.find((self.name, seen))
        if isinstance(known, ImageFeatures):
            return known
        began = time.monotonic()
        features = self.method.encode(images)
        times.encoding = (times.encoding or 0.0) + time.monotonic() - began
        self.store.keep((self.name, seen), features)
        return features


def digest(values: Tensor) -> str:
    """Digest of the type, shape and content of a tensor."""
    return weights_digest(labelled([("", values)]))


def held_bytes(value: object) -> int:
    """Total bytes of all tensors and arrays in nested dataclasses and sequences."""
    return sum(values.nbytes for values in values_of(value))


def tensors_of(value: object) -> Iterator[Tensor]:
    """Iterate over all tensors in nested dataclasses and sequences."""
    return (one for one in values_of(value) if isinstance(one, Tensor))


def values_of(value: object) -> Iterator[Tensor | np.ndarray]:
    """Iterate over all tensors and arrays in nested dataclasses and sequences."""
    if isinstance(value, Tensor | np.ndarray):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from values_of(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from values_of(part)
