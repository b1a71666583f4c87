"""Commands as a user types them."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ahs_seg.cli import app, main

AHS_SEG = (sys.executable, "-c", "from ahs_seg.cli import main; main()")
"""The first words of a command that runs in a process of its own."""


def run(*arguments: str | Path | float, status: int = 0) -> str:
    """What is written to standard output."""
    return done(*arguments, status=status).stdout


def output_of(*arguments: str | Path | float, status: int = 0) -> str:
    """What is written to standard output and to standard error."""
    return done(*arguments, status=status).output


def done(*arguments: str | Path | float, status: int = 0) -> Result:
    """A command that ended with this status; what it raised is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


MICRO = [
    "quickstart/cat_seg",
    "training.steps=6",
    "training.workers=0",
    "training.precision=fp32",
    "training.checkpoint_every=3",
    "training.optimizer.warmup_steps=1",
]


def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """The message of a command that ends with status 2."""
    monkeypatch.setattr("sys.argv", ["ahs-seg", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message
