"""Bounds on pickles, checked operation by operation before anything reads them: no value is built, nothing is executed.

A few bytes of a pickle may claim a text of gigabytes or a place far away in the memo, nest containers so deeply that
comparing them ends the process, or put one container twice into the next, forty times over, so that walking through
the result never ends. The scan follows the operations with sizes in place of the values.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from ahs_seg.errors import AhsSegError

MAX_NESTING: Final = 100
"""Most containers of a pickle inside one another; those of checkpoints reach about 20."""

_TEXT_PER_VALUE: Final = 256  # characters of a text that count as one more value
_MARK: Final = 0
_PUT: Final = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GET: Final = ("GET", "BINGET", "LONG_BINGET")
_CHANGES: Final = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_EMPTY: Final = ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET")


class PickleLimitError(AhsSegError, ValueError):
    """Error for a pickle that claims more than is allowed, or is damaged; it was not loaded."""


class _Container:
    """How deep containers nest in a container, its values counted as often as they occur, and whether it is in one."""

    __slots__ = ("contained", "depth", "values")

    def __init__(self) -> None:
        self.depth = self.values = 1
        self.contained = False


_Value: TypeAlias = _Container | int
"""A container, or for any other value, the number of values that it counts for; 0 is a mark."""


def check_pickles(content: bytes, *, operations: int, pickles: int = 1) -> int:
    """Where the pickles at the start of `content` end, if all of them together stay within the limits.

    Values that occur several times count each time, and are as many as `operations` at most.

    Raises:
        PickleLimitError: they exceed a limit, or are damaged; the message goes on after the name of a file.
    """
    file, done = io.BytesIO(content), 0
    for _ in range(pickles):
        try:
            done = _check(file, done, operations)
        except PickleLimitError:
            raise
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise PickleLimitError(f"is damaged ({reason}); copy or download it again.") from None
    return file.tell()


def _check(file: io.BytesIO, done: int, limit: int) -> int:
    stack: list[_Value] = []
    memo: dict[int, _Value] = {}
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        name = operation.name
        done += 1
        if done > limit:
            raise PickleLimitError(f"has more than {limit:,} operations and is refused. Fetch it again.")
        if name in _PUT:
            index = len(memo) if argument is None else int(argument)
            if not 0 <= index <= count:
                raise PickleLimitError(f"claims place {index:,} of the memo after {count:,} operations and is refused.")
            memo[index] = stack[-1]
        elif name in _GET:
            stack.append(memo[int(argument or 0)])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            _apply(operation, argument, stack, limit)
    return done


def _apply(operation: pickletools.OpcodeInfo, argument: object, stack: list[_Value], limit: int) -> None:
    """Replace what an operation takes from the stack by what it leaves there."""
    taken = _taken(stack, operation)
    if not operation.stack_after:
        return
    if operation.stack_after == [pickletools.markobject]:
        stack.append(_MARK)
    elif operation.name in _CHANGES and isinstance(taken[-1], _Container):
        stack.append(_filled(taken.pop(), taken, limit))
    elif taken or operation.name in _EMPTY:
        stack.append(_filled(_Container(), taken, limit))
    else:
        stack.append(1 + len(argument) // _TEXT_PER_VALUE if isinstance(argument, str | bytes | bytearray) else 1)


def _filled(container: _Value, values: Sequence[_Value], limit: int) -> _Value:
    """The container with values added to it.

    Only a container that is in no other can be filled: counts stay exact, and nothing contains itself.
    """
    assert isinstance(container, _Container)
    for value in values:
        if isinstance(value, _Container):
            value.contained = True
            container.depth = max(container.depth, value.depth + 1)
            container.values += value.values
        else:
            container.values += value
    if values and container.contained:
        raise PickleLimitError("fills a container that is part of another one, or of itself, and is refused.")
    if container.depth > MAX_NESTING:
        raise PickleLimitError(f"has more than {MAX_NESTING} containers inside one another and is refused.")
    if container.values > limit:
        raise PickleLimitError(f"describes more than {limit:,} values, counting those that repeat, and is refused.")
    return container


def _taken(stack: list[_Value], operation: pickletools.OpcodeInfo) -> list[_Value]:
    """What an operation takes from the stack, from the top: all above the last mark, then what it names below."""
    taken: list[_Value] = []
    wanted = operation.stack_before
    marked = pickletools.markobject in wanted
    if marked or (operation.name == "POP" and stack[-1] == _MARK):
        while (value := stack.pop()) != _MARK:
            taken.append(value)
        wanted = wanted[: wanted.index(pickletools.markobject)] if marked else []
    for _ in wanted:
        if (value := stack.pop()) == _MARK:
            raise PickleLimitError("is damaged (it takes a mark for a value); copy or download it again.")
        taken.append(value)
    return taken


def requested(content: bytes, *, operations: int, pickles: int = 1) -> Iterator[str]:
    """Dotted names that the pickles at the start of `content` would import, found without loading them."""
    file = io.BytesIO(content)
    for _ in range(pickles):
        texts: list[str] = []
        memory: dict[object, str] = {}
        try:
            for operation, argument, _ in islice(pickletools.genops(file), operations):
                parts: list[str] = []
                if operation.name in ("GLOBAL", "INST"):
                    parts = str(argument).split(" ")
                elif operation.name == "STACK_GLOBAL":
                    parts = texts[-2:]
                elif operation.name in _PUT:
                    memory[len(memory) if argument is None else argument] = texts[-1] if texts else ""
                elif operation.name in _GET:
                    texts.append(memory.get(argument, ""))
                elif isinstance(argument, str):
                    texts.append(argument)
                if len(parts) == 2 and all(word.isidentifier() for part in parts for word in part.split(".")):
                    yield ".".join(parts)
        except ValueError:
            return  # the end of the last pickle, or bytes that are not a pickle
