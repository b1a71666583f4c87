"""`ahs-seg benchmark` in this process and in one of its own for each setting of the allocator."""

import json
from pathlib import Path

import pytest

from ahs_seg.cli import benchmark
from tests.support.command_line import fails, output_of


@pytest.mark.slow
def test_parts_are_measured_and_written(trained: Path, tmp_path: Path):
    words: list[str | Path | float] = [
        "benchmark",
        trained / "model",
        "--words",
        "2",
        "--rounds",
        "1",
        "--device",
        "cpu",
    ]
    told = output_of(*words, "--allocator", "keeping", "--json", tmp_path / "found.json")
    assert "allocator keeping:" in told
    assert "whole image" in told
    record = json.loads((tmp_path / "found.json").read_text())
    found = record["allocators"]["keeping"]
    assert {row["words"] for row in found["parts"] if row["part"] == "head"} == {2}
    assert found["limits"]["copy"] > 0


def test_both_settings_by_default(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def measured(name: str, *_: object) -> dict[str, list[str]]:
        asked.append(name)
        return {"table": [f"as {name}"]}

    monkeypatch.setattr(benchmark, "_in_a_child", measured)
    told = output_of("benchmark", "--quick")
    assert asked == ["default", "keeping"]
    assert "as default" in told
    assert "as keeping" in told


def test_wrong_options_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    assert "allowed are both, default, keeping, as-it-is" in fails(
        capsys, monkeypatch, "benchmark", "--allocator", "mimalloc"
    )
    assert "at least 1" in fails(capsys, monkeypatch, "benchmark", "--words", "0")


def test_a_file_of_the_model_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "config.json").write_text("{}")
    for model in (str(tmp_path), f"clip:{tmp_path}"):
        message = fails(capsys, monkeypatch, "benchmark", model, "--json", tmp_path / "config.json")
        assert "which would be replaced" in " ".join(message.split())


def test_a_quick_benchmark_has_its_own_words_and_rounds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    message = fails(capsys, monkeypatch, "benchmark", "--quick", "--words", "5", "--rounds", "2")
    assert "--words, --rounds: --quick sets it; leave one of them out." in message
