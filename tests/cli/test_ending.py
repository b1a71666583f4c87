"""How commands end: one message for whatever they raise, and an exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from safetensors import SafetensorError

from ahs_seg.cli.ending import DEBUG, ISSUES, message_of, prepare_streams, status_of
from ahs_seg.errors import AhsSegError, RunInterrupted, SampleError
from ahs_seg.training.loop import TrainingDivergedError


def raising(error: BaseException) -> Callable[[], None]:
    """A typer application whose only command raises."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise error

    return lambda: app([])


@pytest.fixture(autouse=True)
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where traces are written."""
    folder = tmp_path / "traces"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv(DEBUG, raising=False)
    return folder


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (SampleError("a.png is no image; give another."), 2, ["error: a.png is no image; give another."]),
        (TrainingDivergedError("loss is nan; lower the rate."), 2, ["error: loss is nan; lower the rate."]),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2, ["Permission denied: '/x/y'", "permissions"]),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 2, ["Read-only file system: '/x'", "can be written"]),
        (OSError(errno.EMFILE, "Too many open files"), 2, ["Too many open files", "ulimit -n"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "a", None, "b"), 2, ["'a' -> 'b'"]),
        (MemoryError(), 2, ["not enough memory"]),
        (KeyboardInterrupt(), 130, ["interrupted", "--resume"]),
        (RunInterrupted("after step 2; go on."), 130, ["interrupted after step 2; go on."]),
    ],
)
def test_what_is_expected_is_one_message_without_a_trace(
    error: BaseException, status: int, words: list[str], capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    assert status_of(raising(error)) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(word in shown.err for word in words)
    assert len(shown.err.splitlines()) == 1
    assert not list(traces.iterdir())


@pytest.mark.parametrize(
    "error", [RuntimeError("odd\nsecond line"), KeyError("k"), RecursionError("deep"), EOFError(), ValueError("v")]
)
def test_what_is_not_expected_is_one_line_and_a_file(
    error: Exception, capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    assert status_of(raising(error)) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    (file,) = traces.iterdir()
    assert line.startswith(f"error: unexpected {type(error).__name__}")
    assert str(file) in line
    assert ISSUES in line
    assert DEBUG in line
    text = file.read_text()
    assert "Traceback" in text
    assert f"{type(error).__name__}" in text


def test_the_trace_is_shown_where_it_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEBUG, "1")
    assert status_of(raising(AhsSegError("give another."))) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("error: give another.\n")


def test_a_trace_that_cannot_be_stored_is_no_second_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert status_of(raising(RuntimeError("odd"))) == 2
    assert "could not be written to a file" in capsys.readouterr().err


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        caused(RuntimeError("worker failed"), OSError(errno.ENOSPC, "No space left on device")),
        caused(AhsSegError("not downloaded"), OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_one_message_wherever_it_shows(error: Exception) -> None:
    assert message_of(error).startswith("error: the disk is full")
    assert "--output" in message_of(error)


def test_what_a_message_cites_is_not_obeyed_by_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    status_of(raising(AhsSegError("the server says \x1b]0;owned\a")))
    assert capsys.readouterr().err == "error: the server says \\u001b]0;owned\\u0007\n"


def test_the_status_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(lambda: None) == 0
    assert status_of(raising(typer.Exit(1))) == 1
    assert status_of(raising(SystemExit("a last word"))) == 1
    assert capsys.readouterr().err == "a last word\n"


def test_a_reader_that_has_left_ends_the_command_in_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "__stdout__", stream)
        assert status_of(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 1
        assert capsys.readouterr().err == ""
        stream.write("what is still written does no harm")


def test_another_broken_pipe_is_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stdout__", None)
    assert status_of(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 2
    assert "error: Broken pipe" in capsys.readouterr().err


def test_a_stream_takes_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    prepare_streams()
    print("猫", end="", flush=True)
    assert plain.buffer.getvalue() == b"\\u732b"


def test_reports_go_where_the_package_says() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Issues"] == ISSUES
