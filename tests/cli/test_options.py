"""Options that do not go together end a command before anything is loaded."""

import errno
import os
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from ahs_seg.cli import evaluate, vocab
from ahs_seg.cli.options import (
    OptionError,
    check_model_path,
    check_report_path,
    check_words,
    parse_formats,
    parse_numbers,
)
from tests.support.command_line import fails


def test_evaluate_takes_one_dataset_or_one_suite() -> None:
    for data, suite in ((None, None), ("world:test", "all")):
        with pytest.raises(OptionError, match="give either --data"):
            evaluate.command("model", data=data, suite=suite)


def test_near_names_need_a_model() -> None:
    with pytest.raises(OptionError, match="give --model as well"):
        vocab.lint("words.txt", near=0.9, model=None)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["segment", ""], "the word after 'segment'"),
        (["segment", "a.png", "-o", " "], "the value of -o"),
        (["segment", "a.png", "--model="], "the value of --model"),
    ],
)
def test_a_shell_variable_that_is_not_set_is_no_path(words: list[str], place: str) -> None:
    with pytest.raises(OptionError, match=f"{place} is empty"):
        check_words(words)
    check_words(["segment", "a=", "--x=y"])


def test_the_command_line_refuses_empty_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the value of --model is empty" in fails(capsys, monkeypatch, "serve", "--model", "")


def test_formats_in_any_case_and_between_commas() -> None:
    known = ["png", "overlay", "coco"]
    assert parse_formats(["PNG,coco", "png"], known) == ["png", "coco"]
    with pytest.raises(OptionError, match=r"formats are png, overlay, coco; did you mean overlay\?"):
        parse_formats([".jpg"], known)


def test_numbers_of_a_list() -> None:
    assert parse_numbers("2,0, 2", "--seeds") == (2, 0)
    with pytest.raises(OptionError, match="--seeds is 'a,1'; give whole numbers"):
        parse_numbers("a,1", "--seeds")


def test_a_report_has_a_place_before_the_work_begins(tmp_path: Path) -> None:
    check_report_path(None)
    check_report_path(tmp_path / "new" / "report.json")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(OptionError, match="is a folder"):
        check_report_path(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="cannot be written"):
        check_report_path(tmp_path / "file" / "report.json")


def test_a_folder_that_takes_no_file_is_told_before_the_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_model_path(tmp_path / "model")
    check_report_path(tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []

    def refuse(**rest: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OptionError, match=r"--output '.*model' cannot be written \(Read-only file system\)"):
        check_model_path(tmp_path / "model")
    with pytest.raises(OptionError, match=r"--json '.*report\.json' cannot be written \(Read-only file system\)"):
        check_report_path(tmp_path / "report.json", "--json")
