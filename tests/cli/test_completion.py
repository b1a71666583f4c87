"""Completion by the shell, of commands and of values."""

import os
import subprocess
import sys

import pytest

from ahs_seg.cli.completion import known_list, output_format
from tests.support.command_line import run

PROGRAM = "import sys; sys.argv = ['ahs-seg']; from ahs_seg.cli import main; main()"


def test_values_begin_as_typed() -> None:
    assert known_list("ADE") == ["ade20k-150", "ade20k-847"]
    assert known_list("cat") == []
    assert output_format("c") == ["coco", "cvat"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("ahs-seg seg", {"segment"}), ("ahs-seg segment --classes pascal-voc", {"pascal-voc-20", "pascal-voc-20b"})],
)
def test_the_shell_completes(words: str, expected: set[str]) -> None:
    count = str(len(words.split()) - 1)
    environment = {**os.environ, "_AHS_SEG_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert set(done.stdout.split()) == expected, done.stderr


def test_the_script_is_shown() -> None:
    assert "--install-completion" in run("--help")
