"""What damages the content of a file or a document, at random."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

Damage = Callable[[random.Random, bytearray], bytearray]


def flipped(draw: random.Random, content: bytearray) -> bytearray:
    """Some bits are inverted."""
    for _ in range(draw.choice((1, 3, 10, 60))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return content


def shortened(draw: random.Random, content: bytearray) -> bytearray:
    """The end is missing."""
    return content[: draw.randrange(len(content))]


def lying(draw: random.Random, content: bytearray) -> bytearray:
    """Other numbers in the first bytes, where sizes, depths and counts stand."""
    for _ in range(draw.choice((1, 2, 4))):
        place = draw.randrange(min(len(content), 80))
        number = draw.choice((b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\xff\xff", bytes(4), b"\x80", b"\0", b"\1"))
        content[place : place + len(number)] = number
    return content


def emptied(draw: random.Random, content: bytearray) -> bytearray:
    """A stretch is zero."""
    begin = draw.randrange(len(content))
    end = min(len(content), begin + draw.randint(1, 400))
    return content[:begin] + bytes(end - begin) + content[end:]


def inserted(draw: random.Random, content: bytearray) -> bytearray:
    """Bytes stand between the others."""
    place = draw.randrange(len(content))
    return content[:place] + draw.randbytes(draw.randint(1, 300)) + content[place:]


def replaced(draw: random.Random, content: bytearray) -> bytearray:
    """Something else, or twice the same."""
    return bytearray(
        draw.choice((b"", bytes(500), b"not what it seems", draw.randbytes(300), content[:4], content * 2))
    )


def untouched(draw: random.Random, content: bytearray) -> bytearray:
    """The content as it is."""
    del draw
    return content


DAMAGES: Final[tuple[Damage, ...]] = (flipped, shortened, lying, emptied, inserted, replaced)

VALUES: Final[tuple[object, ...]] = (
    *(0, -1, 1, 2, 10**6, 10**9, 2**31, 2**63, 10**30, -(10**30), 0.0, -0.5, 1e308, float("nan"), float("inf")),
    *(True, False, None, "", "x", "\x1b[2J\x00", "../../ran", "/etc/passwd", "é" * 300, "x" * 100_000),
    *([], {}, [[]], [0] * 10, [10**9, 10**9], {"name": "x"}, {"": {}}, {"__class__": "os.system"}),
)


def spoiled(draw: random.Random, document: Any) -> Any:
    """A document of plain values in which one or two values are others, missing, or nested without end."""
    document = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 2))):
        places = list(_places(document))
        if not places:
            return copy.deepcopy(draw.choice(VALUES))
        node, key = draw.choice(places)
        chosen = draw.random()
        if chosen < 0.1:
            del node[key]
        elif chosen < 0.15:
            node[key] = nested(draw.choice((60, 900)))
        else:
            node[key] = copy.deepcopy(draw.choice(VALUES))
    return document


def nested(depth: int) -> Any:
    """Lists within lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, value in items:
        yield node, key
        yield from _places(value)
