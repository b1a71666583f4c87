"""Flowcharts of the pages (mermaid syntax, `A["name"] -- "label" --> B`) rendered as SVG, without a script."""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass, field
from itertools import pairwise

NODE = re.compile(r"\s*(\w+)(?:[\[({]+\"?(.*?)\"?[\])}]+)?(?=\s*(?:[-=&<]|$))")
ARROW = re.compile(
    r"\s*(?:<?(?:--|==|-\.)\s+\"?(?P<label>.+?)\"?\s+(?:--|==|\.-)>|<?(?:-->|==>|-\.->)(?:\|\"?(?P<piped>.*?)\"?\|)?)"
)
SKIPPED = ("flowchart", "graph", "%%", "classDef", "class ", "style ", "subgraph", "end", "linkStyle", "direction")
LETTER, LINE, MARGIN = 7.0, 17, 12
CHARACTERS, GAP_X, GAP_Y, SWEEPS = 24, 26, 14, 24


@dataclass
class Node:
    """A box with lines of text, or (`framed` false) a waypoint of an arrow, optionally with the arrow's label."""

    lines: list[str]
    framed: bool = True
    rank: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """Width in pixels."""
        return max((len(line) for line in self.lines), default=0) * LETTER + 2 * MARGIN * self.framed

    @property
    def height(self) -> float:
        """Height in pixels."""
        return len(self.lines) * LINE + MARGIN * self.framed


@dataclass
class Chart:
    """Boxes by name, and arrows (from, to, label); `paths` are the waypoints of each arrow."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    paths: list[list[str]] = field(default_factory=list)

    def name(self, key: str, label: str | None) -> str:
        """The key, after its node has been created if it is new or has a label."""
        if key not in self.nodes or label:
            self.nodes[key] = Node(textwrap.wrap(label or key, CHARACTERS) or [key])
        return key


def parse(text: str) -> Chart:
    """The chart that a block describes: boxes connected by arrows, several by `&`; groups and styles are ignored.

    Raises:
        ValueError: a line that cannot be read.
    """
    chart = Chart()
    for line in map(str.strip, text.strip().splitlines()):
        if line and not line.startswith(SKIPPED):
            read_line(chart, line)
    return chart


def read_line(chart: Chart, line: str) -> None:
    """Add one line such as `a["name"] & b -- "label" --> c --> d` to a chart."""
    starts, at = read_boxes(chart, line, 0)
    while at < len(line):
        arrow_found = ARROW.match(line, at)
        if arrow_found is None:
            raise ValueError(f"flowchart: cannot read {line[at:]!r} in {line!r}")
        label = arrow_found["label"] or arrow_found["piped"] or ""
        ends, at = read_boxes(chart, line, arrow_found.end())
        chart.edges += [(start, end, plain(label)) for start in starts for end in ends]
        starts = ends


def read_boxes(chart: Chart, line: str, at: int) -> tuple[list[str], int]:
    """The boxes at a position of a line, joined by `&`, and the position after them."""
    found = []
    while True:
        box_found = NODE.match(line, at)
        if box_found is None:
            raise ValueError(f"flowchart: no box at {line[at:]!r} in {line!r}")
        found.append(chart.name(box_found[1], plain(box_found[2] or "") or None))
        at = box_found.end()
        rest = line[at:].lstrip()
        if not rest.startswith("&"):
            return found, at if rest else len(line)
        at = line.index("&", at) + 1


def plain(text: str) -> str:
    """Text without HTML tags and entities."""
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<br */?>", " ", text))).strip()


def route(chart: Chart) -> None:
    """Assign even ranks to boxes, and add a waypoint in each rank that an arrow crosses, the first with its label."""
    for _ in chart.nodes:
        for start, end, _label in chart.edges:
            chart.nodes[end].rank = min(max(chart.nodes[end].rank, chart.nodes[start].rank + 2), 2 * len(chart.nodes))
    for number, (start, end, label) in enumerate(chart.edges):
        path = [start]
        for rank in range(chart.nodes[start].rank + 1, chart.nodes[end].rank):
            key = f"{number} {rank}"
            lines = textwrap.wrap(label, CHARACTERS) if len(path) == 1 else []
            chart.nodes[key] = Node(lines, framed=False, rank=rank)
            path.append(key)
        chart.paths.append([*path, end])


def place(chart: Chart) -> tuple[float, float]:
    """Width and height of the chart, after every node got its position: rank below rank, near its neighbours."""
    route(chart)
    ranks: dict[int, list[str]] = {}
    for key, node in chart.nodes.items():
        ranks.setdefault(node.rank, []).append(key)
    joined: dict[str, list[str]] = {key: [] for key in chart.nodes}
    for path in chart.paths:
        for one, other in pairwise(path):
            joined[one].append(other)
            joined[other].append(one)
    for sweep in range(SWEEPS):
        for rank in sorted(ranks, reverse=bool(sweep % 2)):
            settle([(chart.nodes[key], [chart.nodes[other] for other in joined[key]]) for key in ranks[rank]])
    left = min(node.x - node.width / 2 for node in chart.nodes.values()) - MARGIN
    top = float(MARGIN)
    for rank in sorted(ranks):
        row = [chart.nodes[key] for key in ranks[rank]]
        for node in row:
            node.x, node.y = node.x - left, top + (max(each.height for each in row) - node.height) / 2
        top += max(node.height for node in row) + GAP_Y
    return max(node.x + node.width / 2 for node in chart.nodes.values()) + MARGIN, top - GAP_Y + MARGIN


def settle(row: list[tuple[Node, list[Node]]]) -> None:
    """Move the nodes of a rank towards the mean position of their neighbours, sorted by it and without overlap."""
    wanted = [(sum(other.x for other in near) / len(near) if near else node.x, node) for node, near in row]
    wanted.sort(key=lambda pair: pair[0])
    edge = -float("inf")
    for x, node in wanted:
        node.x = max(x, edge + node.width / 2)
        edge = node.x + node.width / 2 + GAP_X
    shift = sum(node.x - x for x, node in wanted) / len(wanted)
    for _, node in wanted:
        node.x -= shift


def draw(text: str) -> str:
    """The SVG of a block, in the colours of the surrounding page."""
    chart = parse(text)
    words = "; ".join(" ".join(node.lines) for node in chart.nodes.values())
    width, height = place(chart)
    parts = [arrow([chart.nodes[key] for key in path]) for path in chart.paths]
    parts += [shown(node) for node in chart.nodes.values()]
    return (
        f'<svg class="flowchart" role="img" aria-label="{html.escape(words)}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:{width:.0f}px"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>{"".join(parts)}</svg>'
    )


def shown(node: Node) -> str:
    """SVG of one box with its text, or of the label of an arrow."""
    start = node.y + (MARGIN / 2 if node.framed else 0) + 12
    kind = "" if node.framed else ' class="label"'
    lines = "".join(
        f'<text{kind} x="{node.x:.1f}" y="{start + index * LINE:.1f}">{html.escape(line)}</text>'
        for index, line in enumerate(node.lines)
    )
    if not node.framed:
        return lines
    size = f'width="{node.width:.1f}" height="{node.height:.1f}"'
    return f'<rect x="{node.x - node.width / 2:.1f}" y="{node.y:.1f}" {size} rx="6"/>{lines}'


def arrow(path: list[Node]) -> str:
    """SVG of one arrow as a smooth curve through its waypoints."""
    points = [(lean(path[0], path[1]), path[0].y + path[0].height)]
    points += [(node.x, y) for node in path[1:-1] for y in (node.y, node.y + node.height)]
    points.append((lean(path[-1], path[-2]), path[-1].y))
    curve = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (to_y - y) / 2
        curve += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    return f'<path class="arrow" d="{curve}"/>'


def lean(node: Node, other: Node) -> float:
    """The x coordinate at which an arrow touches a box: shifted towards its other end, near the middle of the side."""
    room = 0.35 * node.width
    return node.x + max(-room, min(room, 0.4 * (other.x - node.x)))
