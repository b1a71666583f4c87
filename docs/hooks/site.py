"""mkdocs hooks that add the API reference, rendered formulas and rendered flowcharts to the pages.

Everything is rendered at build time; the browser needs no script for it and contacts no other host. The pages stay
readable as plain Markdown files.
"""

from __future__ import annotations

import ast
import html
import json
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from flowchart import draw

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ahs_seg"
FENCE = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\w)", re.DOTALL)
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:src|benchmarks|tests|LICENSE|Makefile)[^)]*)\)")
MADE: list[str] = []
"""Rendered charts and formulas of all pages; `drawnNx` stands for number N until the Markdown has been parsed."""
HOME = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}


def on_files(files: Files, config: Any) -> Files:  # mkdocs' own object
    """The files of the site with generated pages added: reference, notebooks, and pages from outside `docs/`."""
    made = dict(reference_pages())
    made |= {target: (ROOT / source).read_text(encoding="utf-8") for source, target in HOME.items()}
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made[f"notebooks/{notebook.stem}.md"] = notebook_page(notebook)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """The Markdown of one page with charts and formulas rendered and links adapted to the site."""
    depth = page.file.src_uri.count("/")
    for name, target in HOME.items():
        markdown = markdown.replace(f"({'../' * (depth + 1)}{name}", f"({'../' * depth}{target}")
    if page.file.src_uri in HOME.values():
        markdown = re.sub(r"\]\(docs/", "](", markdown)
    markdown = OUTSIDE.sub(r"\1", markdown)
    pieces = CODE.split(markdown)
    pieces = [
        FENCE.sub(block, piece) if index % 2 else FORMULA.sub(formula, piece) for index, piece in enumerate(pieces)
    ]
    return "".join(pieces)


def on_page_content(content: str, **_: object) -> str:
    """The HTML of one page with rendered charts and formulas inserted."""
    return re.sub(r"\bdrawn(\d+)x\b", lambda found: MADE[int(found[1])], content)


def keep(made: str) -> str:
    """Placeholder for a rendered chart or formula until `on_page_content`."""
    MADE.append(made)
    return f"drawn{len(MADE) - 1}x"


def block(found: re.Match[str]) -> str:
    """A fenced block for the site: charts rendered, titles quoted for its highlighter."""
    language, title, code = found.groups()
    if language == "mermaid":
        return keep(draw(code))
    if language == "math":
        return formula_of(code.strip(), display="block")
    return f'```{language} title="{title}"\n{code}```' if title else found[0]


def formula(found: re.Match[str]) -> str:
    """A formula between dollar signs as MathML, which browsers render without a script."""
    shown, inline = found.groups()
    return formula_of(shown, display="block") if shown else formula_of(inline, display="inline")


def formula_of(text: str, *, display: str) -> str:
    """MathML of LaTeX on one line; a formula with a line of its own scrolls where the page is narrower."""
    made: str = convert(" ".join(text.split()), display=display)
    made = made.replace("\n", " ")
    return keep(f'<span class="formula">{made}</span>' if display == "block" else made)


def public_modules() -> list[str]:
    """Dotted names of all public modules of the package."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    return [".".join(part for part in path.parts if part != "__init__") for path in paths]


def reference_pages() -> dict[str, str]:
    """One page for each file or folder of the package, with everything public in it."""
    units: dict[str, list[str]] = {}
    for module in public_modules():
        parts = module.split(".")
        units.setdefault(parts[1] if len(parts) > 1 else "ahs_seg", []).append(module)
    listed = "\n".join(f"- [`{unit}`]({unit}.md): {first_line(modules[0])}" for unit, modules in sorted(units.items()))
    return {"reference/index.md": f"# Reference\n\nEvery public name, file by file.\n\n{listed}\n"} | {
        f"reference/{unit}.md": f"# {unit}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        for unit, modules in units.items()
    }


def first_line(module: str) -> str:
    """The first line of a module's docstring."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def notebook_page(path: Path) -> str:
    """A Markdown page with the cells of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    shown = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join(shown) + f"\n\n*This page is the notebook `docs/notebooks/{html.escape(path.name)}`.*\n"
