"""What `ahs-seg ablate` asks of an ablation, and what it prints of the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ahs_seg.experiments.ablation.markdown import markdown
from ahs_seg.experiments.ablation.run import AblationOptions, AblationResult
from ahs_seg.experiments.ablation.workers import RunFailure
from tests.support.ablation import table
from tests.support.command_line import fails, output_of

FOUND = table({"H-CLIP": 0.0, "better": 0.05})
ASKED: list[tuple[AblationOptions, Path, dict[str, Any]]] = []


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AblationResult:
    """A finished ablation that is the answer to every call; the calls are kept in `ASKED`."""
    result = AblationResult(FOUND, [], tmp_path / "table")
    ASKED.clear()

    def run(choice: AblationOptions, output: Path, **rest: Any) -> AblationResult:
        ASKED.append((choice, output, rest))
        return result

    monkeypatch.setattr("ahs_seg.experiments.ablation.run.run_ablation", run)
    return result


def test_without_options_the_whole_packaged_table_is_run(answer: AblationResult) -> None:
    text = output_of("ablate")
    ((choice, output, rest),) = ASKED
    assert (choice, output, rest) == (AblationOptions("ahs_seg"), Path("runs/ablation"), {"jobs": 1, "train": True})
    assert text.startswith(markdown(FOUND))
    assert f"written to {answer.folder}" in text


@pytest.mark.usefixtures("answer")
def test_every_option_reaches_the_ablation(tmp_path: Path) -> None:
    words = ["training.steps=9", "--suite", "scan", "--rows", "full, bare,", "--seeds", "3,1,3", "--scale", "vitb"]
    output_of("ablate", *words, "--jobs", 2, "--validation", "--table-only", "-o", tmp_path)
    ((choice, output, rest),) = ASKED
    assert choice == AblationOptions("scan", ("full", "bare"), (3, 1), "vitb", "validation", ("training.steps=9",))
    assert (output, rest) == (tmp_path, {"jobs": 2, "train": False})


def test_a_run_that_failed_is_told_by_the_status(answer: AblationResult, tmp_path: Path) -> None:
    answer.failures.append(RunFailure("full, seed 2", "out of memory", tmp_path / "log"))
    assert "| better |" in output_of("ablate", status=1)


def test_without_a_finished_baseline_there_is_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = AblationResult(None, [], tmp_path)
    monkeypatch.setattr("ahs_seg.experiments.ablation.run.run_ablation", lambda *_, **__: nothing)
    assert "no table: the baseline has no finished run" in output_of("ablate", status=1)


def test_an_unknown_suite_is_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    message = fails(capsys, monkeypatch, "ablate", "--suite", "tinny", "-o", tmp_path / "out")
    assert "tinny: no such file, nor a packaged suite; those are" in message
    assert not (tmp_path / "out").exists()
