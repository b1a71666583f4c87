"""Data-flow pictures without a script: the flowcharts of the pages (mermaid's `A["name"] -- "label" --> B`) as SVG."""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass, field

NODE = r"(\w+)(?:\[\"?([^\]\"]*)\"?\])?"
EDGE = re.compile(rf"^{NODE}\s*--(?:\s*\"?([^\">]+?)\"?\s*--)?>\s*{NODE}$")
ALONE = re.compile(rf"^{NODE}$")
LETTER, LINE, MARGIN = 7.0, 17, 12
CHARACTERS, GAP_X, GAP_Y = 24, 28, 56


@dataclass
class Node:
    """A box: its lines of text and its place."""

    lines: list[str]
    rank: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """Width of the box."""
        return max(len(line) for line in self.lines) * LETTER + 2 * MARGIN

    @property
    def height(self) -> float:
        """Height of the box."""
        return len(self.lines) * LINE + MARGIN


@dataclass
class Chart:
    """Boxes by name, and arrows (from, to, label)."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def name(self, key: str, label: str | None) -> str:
        """The node of this key, made when first met."""
        if key not in self.nodes or label:
            self.nodes[key] = Node(textwrap.wrap(label or key, CHARACTERS) or [key])
        return key


def parse(text: str) -> Chart:
    """The chart that a block describes.

    Raises:
        ValueError: a line that is neither an arrow nor a box.
    """
    chart = Chart()
    for line in map(str.strip, text.strip().splitlines()):
        if not line or line.startswith(("flowchart", "graph", "%%")):
            continue
        if arrow := EDGE.match(line):
            start, start_label, label, end, end_label = arrow.groups()
            chart.edges.append((chart.name(start, start_label), chart.name(end, end_label), label or ""))
        elif box := ALONE.match(line):
            chart.name(*box.groups())
        else:
            raise ValueError(f"flowchart: {line!r} is neither `a --> b`, `a -- text --> b` nor `a[text]`")
    return chart


def place(chart: Chart) -> tuple[float, float]:
    """Give every box its place, rank below rank; the size of the picture."""
    for _ in chart.nodes:
        for start, end, _label in chart.edges:
            chart.nodes[end].rank = min(max(chart.nodes[end].rank, chart.nodes[start].rank + 1), len(chart.nodes))
    ranks: dict[int, list[str]] = {}
    for key, node in chart.nodes.items():
        ranks.setdefault(node.rank, []).append(key)
    widths = {rank: sum(chart.nodes[key].width + GAP_X for key in keys) - GAP_X for rank, keys in ranks.items()}
    total, top = max(widths.values()) + 2 * MARGIN, float(MARGIN)
    for rank in sorted(ranks):
        above = {key: [chart.nodes[a].x for a, b, _ in chart.edges if b == key] for key in ranks[rank]}
        keys = sorted(ranks[rank], key=lambda key: sum(above[key]) / len(above[key]) if above[key] else 0.0)
        left = (total - widths[rank]) / 2
        for key in keys:
            node = chart.nodes[key]
            node.x, node.y = left + node.width / 2, top
            left += node.width + GAP_X
        top += max(chart.nodes[key].height for key in keys) + GAP_Y
    return total, top - GAP_Y + MARGIN


def draw(text: str) -> str:
    """The SVG of a block, in the colours of the page around it."""
    chart = parse(text)
    width, height = place(chart)
    parts = [arrow(chart.nodes[start], chart.nodes[end], label) for start, end, label in chart.edges]
    parts += [box(node) for node in chart.nodes.values()]
    words = "; ".join(" ".join(node.lines) for node in chart.nodes.values())
    return (
        f'<svg class="flowchart" role="img" aria-label="{html.escape(words)}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:{width:.0f}px"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>{"".join(parts)}</svg>'
    )


def box(node: Node) -> str:
    """One box with its text."""
    lines = "".join(
        f'<text x="{node.x:.1f}" y="{node.y + MARGIN / 2 + 12 + index * LINE:.1f}">{html.escape(line)}</text>'
        for index, line in enumerate(node.lines)
    )
    size = f'width="{node.width:.1f}" height="{node.height:.1f}"'
    return f'<rect x="{node.x - node.width / 2:.1f}" y="{node.y:.1f}" {size} rx="6"/>{lines}'


def arrow(start: Node, end: Node, label: str) -> str:
    """One arrow with its label."""
    x, y, to_x, to_y = start.x, start.y + start.height, end.x, end.y
    bend = (to_y - y) / 2
    curve = f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    path = f'<path class="arrow" d="M{x:.1f} {y:.1f}{curve}"/>'
    if not label:
        return path
    share = 0.5 if end.rank - start.rank == 1 else 0.25
    at_x, at_y = x + (to_x - x) * share**1.5 * (1.4 if share == 0.5 else 1), y + (to_y - y) * share
    return f'{path}<text class="label" x="{at_x:.1f}" y="{at_y + 4:.1f}">{html.escape(label)}</text>'
