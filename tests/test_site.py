"""The documentation site: builds without a warning, knows every public name, asks no other host; the notebooks run."""

import ast
import html
import importlib.util
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

import ahs_seg

ROOT = Path(__file__).parents[1]
PACKAGE = Path(ahs_seg.__file__).parent
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
LOADED = re.compile(
    r"<(?!a\b)[a-z][^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\" >]+)|url\(\"?((?:https?:)?//[^)\"]+)|@import"
)
WIDEST = 35
"""Characters of a formula within a line, which cannot break, on a screen of 390 pixels."""
KEPT_BY_US = re.compile(r"\$\$|\\frac|\\sum|class=\"?mermaid")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_the_reference_has_every_public_name(site: Path) -> None:
    inventory = (site / "objects.inv").read_bytes()
    text = zlib.decompress(inventory.split(b"zlib.\n", 1)[1]).decode()
    listed = {line.split(" ", 1)[0] for line in text.splitlines()}
    missing = [name for path in sorted(PACKAGE.rglob("*.py")) for name in public_names(path) if name not in listed]
    assert missing == []


def public_names(path: Path) -> Iterator[str]:
    """Classes with their methods, functions and constants of a module, without those that begin with an underscore."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = ".".join(part for part in parts if part != "__init__")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}"
            members = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield from (f"{module}.{node.name}.{each.name}" for each in members if not each.name.startswith("_"))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from (f"{module}.{name}" for name in names if not name.startswith("_") and name != "logger")


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_a_visitor_is_sent_nowhere_else(site: Path) -> None:
    found = {}
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        hits = [hit[0] for hit in LOADED.finditer(path.read_text(encoding="utf-8"))]
        if hits:
            found[path.relative_to(site).as_posix()] = hits
    assert found == {}


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_formulas_and_charts_are_drawn_while_building(site: Path) -> None:
    for page in sorted({*(ROOT / "docs/methods").glob("*.md")} - {ROOT / "docs/methods/index.md"}):
        built = (site / "methods" / page.stem / "index.html").read_text(encoding="utf-8")
        content = re.sub(r"<code.*?</code>", "", built, flags=re.DOTALL)
        assert not KEPT_BY_US.search(content), page.name
        written = page.read_text(encoding="utf-8")
        assert content.count('<svg class="flowchart"') == written.count("```mermaid")
        assert ("<math" in content) == ("$" in written), page.name
        assert not re.search(r"\bdrawn\d+x\b", built)
        inline = re.findall(r'<math[^>]*display="inline".*?</math>', built)
        shown = {html.unescape(re.sub(r"<[^>]*>", "", one)) for one in inline}
        assert not {one for one in shown if len(one) > WIDEST}, page.name
        assert built.count('display="block"') == built.count('<span class="formula">')  # it scrolls


def test_charts_are_read() -> None:
    spec = importlib.util.spec_from_file_location("flowchart", ROOT / "docs/hooks/flowchart.py")
    assert spec is not None
    assert spec.loader is not None
    flowchart = importlib.util.module_from_spec(spec)
    sys.modules["flowchart"] = flowchart
    spec.loader.exec_module(flowchart)
    chart = flowchart.parse('flowchart LR\n a["one <b>box</b>"] -- "b d h w" --> b\n a & b -.-> c(("+")) --> d')
    assert {key: node.lines for key, node in chart.nodes.items()} == {
        "a": ["one box"],
        "b": ["b"],
        "c": ["+"],
        "d": ["d"],
    }
    assert chart.edges == [("a", "b", "b d h w"), ("a", "c", ""), ("b", "c", ""), ("c", "d", "")]
    flowchart.place(chart)
    assert [chart.nodes[key].rank for key in "abcd"] == [0, 2, 4, 6]
    boxes = sorted((node.y, node.y + node.height) for node in chart.nodes.values() if node.framed)
    assert all(above[1] < below[0] for above, below in pairwise(boxes))
    with pytest.raises(ValueError, match="no box at"):
        flowchart.parse("a ~~> b")


def test_every_page_has_its_place_in_the_menu() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - set(leaves(menu)) == set()


def leaves(menu: object) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    elif isinstance(menu, dict):
        for part in menu.values():
            yield from leaves(part)
    elif isinstance(menu, list):
        for part in menu:
            yield from leaves(part)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_of_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, without a kernel, which takes seconds to start."""
    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "notebooks are kept without outputs"
    names: dict[str, object] = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{path.name}, cell {number}", "exec"), names)
    assert names


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_in_a_kernel(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
