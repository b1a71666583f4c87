"""Mutants of a module: the source with one operator, constant, condition, term or argument changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the function it is in (empty: the module), the line, and what is changed."""

    function: str
    line: int
    what: str
    tree: ast.Module = field(repr=False, compare=False)
    node: ast.expr = field(repr=False, compare=False)
    changed: ast.expr = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """Names the mutant as long as its line stays as it is, wherever that moves."""
        return f"{self.function}: {self.what}"

    @property
    def source(self) -> str:
        """The whole changed source."""
        return _with(self.tree, self.node, self.changed)


def mutants(source: str) -> list[Mutant]:
    """All mutants of a source, in the order of its lines; annotations, decorators, texts and errors stay the same."""
    tree = ast.parse(source)
    found = []
    for node, function in _places(tree, ""):
        for what, changed in _changes(node):
            found.append(Mutant(function, node.lineno, what, tree, node, changed))
    return sorted(found, key=lambda one: one.line)


def _places(node: ast.AST, function: str) -> Iterator[tuple[ast.expr, str]]:
    """Expressions that may be changed, with the function around them."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr | ast.Import | ast.Assert):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            inner = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, ast.expr):
                yield child, function
            yield from _places(child, inner)


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Descriptions of changes, and the changed expressions."""
    before = ast.unparse(node)
    for changed in _changed(node):
        yield f"{before} -> {ast.unparse(changed)}", changed


def _changed(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARISONS:
            yield _copied(node, ops=[COMPARISONS[type(operator)]()])
        case ast.BinOp(op=operator, left=left) if type(operator) in OPERATORS and not _is_text(node):
            yield _copied(node, op=OPERATORS[type(operator)]())
            if isinstance(operator, ast.Add | ast.Sub | ast.Mult):
                yield left
        case ast.BoolOp(op=operator):
            yield _copied(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(test=test):
            yield _copied(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value if value else 1.0)
        case ast.Call(args=[first, second, *rest]) if not isinstance(first, ast.Starred):
            if not isinstance(second, ast.Starred) and ast.unparse(first) != ast.unparse(second):
                yield _copied(node, args=[second, first, *rest])


def _is_text(node: ast.expr) -> bool:
    """Whether an operation joins texts or types, which are no numbers."""
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str | None))
        for part in ast.walk(node)
    )


def _copied(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _with(tree: ast.Module, node: ast.expr, changed: ast.expr) -> str:
    """The source with one expression in place of another."""

    class Replace(ast.NodeTransformer):
        def visit(self, visited: ast.AST) -> ast.AST:
            if getattr(visited, "mark", None) == "here":
                return ast.copy_location(changed, node)
            return self.generic_visit(visited)

    node.mark = "here"  # type: ignore[attr-defined]  # survives the copy, by which the tree itself stays as it is
    twin = copy.deepcopy(tree)
    del node.mark  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(Replace().visit(twin)))
