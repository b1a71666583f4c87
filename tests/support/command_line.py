"""Commands as a user types them."""

from pathlib import Path

from typer.testing import CliRunner

from ahs_seg.cli import app


def run(*arguments: str | Path | float, status: int = 0) -> str:
    """What is written to standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.stdout


def output_of(*arguments: str | Path | float, status: int = 0) -> str:
    """What is written to standard output and to standard error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output
