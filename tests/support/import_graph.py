"""The import graph of the package, read from its source: `python -m tests.support.import_graph` prints its figures.

A room is a folder or a file directly below `ahs_seg`; a room imports only from rooms on lines above its own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ORDER: Final = (
    ("errors",),
    ("documents",),
    ("types", "config"),
    ("modules", "io"),
    ("configs", "vocabulary", "backbones"),
    ("tuners", "metrics"),
    ("data", "methods"),
    ("integrations",),
    ("output",),
    ("inference",),
    ("checkpoints",),
    ("segmenter", "training"),
    ("evaluation", "batch", "demo", "pipelines"),
    ("experiments",),
    ("cli",),
    ("__init__", "__main__"),
)
"""The rooms of the layout, from the ground up."""


def source_root() -> Path:
    """The folder of the package's source."""
    return Path(__file__).parents[2] / "src" / "ahs_seg"


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that a file imports, at its top or inside its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path, root: Path) -> str:
    """The room in which a file stands."""
    return path.relative_to(root).with_suffix("").parts[0]


def room_arrows(root: Path) -> dict[tuple[str, str], list[str]]:
    """Arrows (importing room, imported room) with the files that draw them; imports within a room are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    rooms = {room_of(path, root) for path in root.rglob("*.py")}
    for path in sorted(root.rglob("*.py")):
        room = room_of(path, root)
        for name in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if parts[0] != "ahs_seg":
                continue
            target = parts[1] if len(parts) > 1 and parts[1] in rooms else "__init__"
            if target != room:
                arrows.setdefault((room, target), []).append(f"{path.relative_to(root).as_posix()} imports {name}")
    return arrows


def circles(arrows: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Groups of rooms that reach one another (strongly connected components of more than one room)."""
    targets: dict[str, set[str]] = {}
    for source, target in arrows:
        targets.setdefault(source, set()).add(target)
    reach = {room: _reached(room, targets) for room in targets}
    groups = {frozenset({other for other in seen if room in reach.get(other, set())}) for room, seen in reach.items()}
    return [set(group) for group in groups if len(group) > 1]


def _reached(room: str, targets: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [room]
    while waiting:
        new = targets.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


def arrows_up(arrows: dict[tuple[str, str], list[str]]) -> list[str]:
    """The imports that do not come from a line above, by the file that has them."""
    line = {room: index for index, rooms in enumerate(ORDER) for room in rooms}
    return [
        fault
        for (source, target), files in arrows.items()
        if line.get(target, len(ORDER)) >= line.get(source, -1)
        for fault in files
    ]


def main() -> None:
    """Print the figures of the import graph."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else source_root()
    arrows = room_arrows(root)
    rooms = {room_of(path, root) for path in root.rglob("*.py")} - {"__init__"}
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in root.rglob("*.py"))
    between = [pair for pair in arrows if "__init__" not in pair]
    print(f"rooms {len(rooms)}, arrows {len(between)}, circles {len(circles(between))}, arrows up ", end="")
    up = arrows_up(arrows)
    print(f"{len(up)}, files {len(list(root.rglob('*.py')))}, lines {lines}")
    for fault in up:
        print(f"  up: {fault}")
    for group in circles(between):
        print(f"  circle: {', '.join(sorted(group))}")


if __name__ == "__main__":
    main()
