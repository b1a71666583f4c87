"""Which test file belongs to which module of the package: `a/b.py` has `tests/a/test_b.py`.

A module that needs more than one file of tests has `test_b_<topic>.py` beside it. A module without code (constants,
error classes, protocols) is tested by whoever uses it. The files in the root of `tests`, in
`contract` and in `parity` are about the whole and mirror nothing.
"""

from __future__ import annotations

import ast
from pathlib import Path

ABOUT_THE_WHOLE = {"campaign", "mutants", "contract", "parity", "extending", "support"}
"""Folders whose tests belong to no single module."""


def modules(root: Path) -> list[Path]:
    """Modules of the package, relative to its root; `__init__` files are tested by those who import from them."""
    return sorted(path.relative_to(root) for path in root.rglob("*.py") if path.name != "__init__.py")


def mirror_of(module: Path) -> Path:
    """Where the tests of a module lie, relative to the tests."""
    return module.parent / f"test_{module.stem}.py"


def has_code(path: Path) -> bool:
    """Whether any function of a file does more than to state its signature."""
    functions = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    return any(not isinstance(statement, ast.Expr | ast.Pass) for node in functions for statement in node.body)


def without_mirror(root: Path, tests: Path) -> set[str]:
    """Modules with code that no test file mirrors."""
    return {
        module.as_posix()
        for module in modules(root)
        if not (tests / mirror_of(module)).exists() and has_code(root / module)
    }


def without_module(root: Path, tests: Path) -> set[str]:
    """Test files below the root of the tests that mirror no module."""
    mirrored = {mirror_of(module).with_suffix("").as_posix() for module in modules(root)}
    files = (path.relative_to(tests) for path in tests.rglob("test_*.py"))
    return {
        file.as_posix()
        for file in files
        if len(file.parts) > 1 and file.parts[0] not in ABOUT_THE_WHOLE
        if not any((file.parent / stem).as_posix() in mirrored for stem in beginnings(file.stem))
    }


def beginnings(stem: str) -> list[str]:
    """A name and what remains of it without its last words: `test_a_b` gives `test_a_b`, `test_a`."""
    words = stem.split("_")
    return ["_".join(words[:count]) for count in range(len(words), 1, -1)]
