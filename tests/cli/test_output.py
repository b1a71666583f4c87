"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import sys
from pathlib import Path

import pytest

import ahs_seg
from ahs_seg.cli.output import MessageHandler, others_on_stderr, say, say_json, set_verbosity
from ahs_seg.io.progress import BARS

NAUGHTY = "\x1b[2J\u202e猫😀\udce9"


def test_results_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    say("cat\x1b[31m")
    assert capsys.readouterr().out == "cat\\u001b[31m\n"


def test_json_keeps_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": NAUGHTY})
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "猫😀" in text
    assert json.loads(text) == {"name": NAUGHTY}


def test_json_keeps_its_meaning_in_a_plain_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    say_json({"name": NAUGHTY})
    plain.seek(0)
    assert json.loads(plain.read()) == {"name": NAUGHTY}


def test_what_others_print_is_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():
        pass
    with others_on_stderr():
        print("words of a library")
    say("the result")
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("the result\n", "words of a library\n")


def test_what_c_code_prints_is_no_result(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w"))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    with others_on_stderr():
        os.write(1, b"words of a decoder\n")
    os.write(1, b"the result\n")
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("the result\n", "words of a decoder\n")


def test_commands_print_in_no_other_way() -> None:
    folder = Path(ahs_seg.__file__).parent / "cli"
    printing = {"typer.echo", "typer.secho", "print"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted(folder.glob("*.py"))
        if path.name != "output.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printing
    ]
    assert found == []


@pytest.mark.parametrize(
    ("verbose", "quiet", "shown"),
    [
        (False, False, ["warning: odd", "error: bad"]),
        (True, False, ["debug: seen", "warning: odd", "error: bad"]),
        (False, True, ["error: bad"]),
    ],
)
def test_how_much_is_said(verbose: bool, quiet: bool, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ahs_seg.somewhere")
    try:
        set_verbosity(verbose=verbose, quiet=quiet)
        logger.debug("seen")
        logger.warning("odd")
        logger.error("bad")
        assert BARS.get() is not quiet
    finally:
        set_verbosity(verbose=False, quiet=False)
    assert capsys.readouterr().err.splitlines() == shown
    assert sum(isinstance(one, MessageHandler) for one in logging.getLogger("ahs_seg").handlers) == 1
