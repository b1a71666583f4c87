"""Safe reader for the pickled index of ADE20K (2021): nothing in the file is imported, called or executed.

Python's unpickler looks up every class and function by name. Here the few names used by numpy arrays resolve to an
inert placeholder (the file contains statistics that are not needed), and any other name is an error. Before that, the
operations are compared with limits one by one.
"""

from __future__ import annotations

import io
import pickle  # used only with every name replaced or refused
from pathlib import Path
from typing import Final

from ahs_seg.errors import AhsSegError
from ahs_seg.io.pickle_scan import PickleLimitError, check_pickles

_ARRAYS: Final = frozenset(
    [
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
        *("numpy.ndarray", "numpy.dtype", "_codecs.encode"),
    ]
)
"""Names with which any version of numpy pickles arrays and numbers."""

MAX_INDEX_BYTES: Final = 2**31
"""Most bytes of a pickled index."""
MAX_OPERATIONS: Final = 20_000_000
"""Most operations and values of a pickled index; that of ADE20K describes 27,574 images."""

_DAMAGED: Final = (
    *(
        MemoryError,
        RecursionError,
        OSError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        ImportError,
    ),
    pickle.UnpicklingError,
)


class PickleError(AhsSegError, ValueError):
    """Error for a refused or damaged pickle; no code in it was executed."""


class _Inert:
    """Placeholder for an array in the file; accepts any arguments and does nothing."""

    state: object = None

    def __new__(cls, *_: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        if f"{module}.{name}" in _ARRAYS:
            return _Inert
        raise PickleError(
            f"asks for {module}.{name} and is refused; nothing of it was run. The original index holds strings, lists "
            "and arrays only: fetch it again from its source."
        )


def read_pickled_mapping(path: Path) -> dict[str, object]:
    """Mapping read from a pickle of plain values; arrays become placeholders, read string arrays with `texts_of`.

    Raises:
        PickleError: the file contains anything other than plain values and arrays (named in the message), holds no
            mapping, exceeds a limit, or is damaged.
    """
    try:
        if (size := path.stat().st_size) > MAX_INDEX_BYTES:
            raise PickleError(f"has {size:,} bytes and is refused; allowed are {MAX_INDEX_BYTES:,}. Fetch it again.")
        content = path.read_bytes()
        check_pickles(content, operations=MAX_OPERATIONS)
        value = _Reader(io.BytesIO(content)).load()
    except (PickleError, PickleLimitError) as error:
        raise PickleError(f"{path} {error}") from None
    except _DAMAGED as error:
        raise PickleError(f"{path} is damaged ({type(error).__name__}: {error}); fetch it again.") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise PickleError(f"{path} holds a {type(value).__name__}; expected is a mapping of names to columns.")
    return value


def texts_of(mapping: dict[str, object], key: str, path: Path) -> list[str]:
    """Column of strings, stored as a list, a tuple or an array of objects.

    Raises:
        PickleError: the column is missing or contains other values.
    """
    column = mapping.get(key)
    if isinstance(column, _Inert) and isinstance(column.state, tuple):
        column = column.state[-1]
    if not isinstance(column, list | tuple) or not all(isinstance(text, str) for text in column):
        given = f"columns {', '.join(mapping)}" if key not in mapping else f"{type(mapping[key]).__name__} there"
        raise PickleError(f"{path}: no list of strings called {key!r} ({given}). Is it the index of ADE20K_2021_17_01?")
    return list(column)
