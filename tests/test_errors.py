"""Every error of the package is an `AhsSegError`, has a name of its own, and ends a command with one message."""

import ast
import builtins
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import ahs_seg
from ahs_seg.cli import app as registered
from ahs_seg.cli import main
from ahs_seg.errors import AhsSegError, MissingPackageError, SampleError

ROOT = Path(ahs_seg.__file__).parent
BASE = "AhsSegError"
BUILT_IN = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)}


def classes() -> list[ast.ClassDef]:
    return [
        node
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]


def is_error(node: ast.ClassDef) -> bool:
    bases = {ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases}
    return node.name != BASE and bool(bases & BUILT_IN or any(base.endswith(("Error", "Exception")) for base in bases))


ERRORS = [node for node in classes() if is_error(node)]


@pytest.mark.parametrize("error", ERRORS, ids=[node.name for node in ERRORS])
def test_every_error_is_of_the_tree_and_documented(error: ast.ClassDef) -> None:
    first = ast.unparse(error.bases[0])
    assert first in {BASE, *(node.name for node in ERRORS)}, f"{first} is not of the tree; derive from {BASE}"
    assert error.name.endswith("Error")
    assert ast.get_docstring(error)


def test_one_name_is_one_error() -> None:
    assert [name for name, count in Counter(node.name for node in ERRORS).items() if count > 1] == []


def test_the_check_finds_errors_outside_the_tree() -> None:
    (outside, apart) = ast.parse("class A(ValueError): ...\nclass B(Config): ...").body
    assert isinstance(outside, ast.ClassDef)
    assert isinstance(apart, ast.ClassDef)
    assert is_error(outside)
    assert not is_error(apart)


@pytest.mark.parametrize(
    ("module", "name", "also"),
    [
        ("config", "ConfigError", ValueError),
        ("vocabulary.vocabulary", "VocabularyError", ValueError),
        ("io.images", "ImageError", SampleError),
        ("checkpoints", "CheckpointError", ValueError),
        ("training.checkpoint", "TrainingCheckpointError", ValueError),
        ("training.loop", "TrainingDivergedError", RuntimeError),
        ("metrics.confusion", "MetricError", ValueError),
        ("batch.sources", "MissingInputError", FileNotFoundError),
        ("errors", "MissingPackageError", ImportError),
    ],
)
def test_errors_are_also_what_python_calls_them(module: str, name: str, also: type[Exception]) -> None:
    error = getattr(import_module(f"ahs_seg.{module}"), name)
    assert issubclass(error, AhsSegError)
    assert issubclass(error, also)


@pytest.mark.parametrize(
    "error", [MissingPackageError("install it"), SampleError("install it"), AhsSegError("install it")]
)
def test_a_command_ends_with_one_message(
    error: AhsSegError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(model: str) -> None:
        raise error

    command = next(info for info in registered.registered_commands if info.name == "serve")
    monkeypatch.setattr(command, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["ahs-seg", "serve", "x"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err.strip() == "error: install it"
