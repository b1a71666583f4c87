"""What `ahs-seg quickstart` asks for; the quickstart itself has its tests in `experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ahs_seg.cli.output import say
from ahs_seg.experiments.quickstart import Sizes
from tests.support.command_line import fails, output_of


def test_every_option_reaches_the_quickstart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, Path, dict[str, Any]]] = []

    def quickstart(method: str, output: Path, **rest: Any) -> Path:
        asked.append((method, output, rest))
        return output / "report.html"

    monkeypatch.setattr("ahs_seg.experiments.quickstart.quickstart", quickstart)
    assert "Open quickstart/report.html" in output_of("quickstart")
    output_of("quickstart", "training.steps=4", "--method", "scan", "-o", tmp_path, "--seed", 3, "--scenes", 9)
    plain = {"seed": 0, "sizes": Sizes(), "overrides": [], "say": say}
    changed = {"seed": 3, "sizes": Sizes(scenes=9), "overrides": ["training.steps=4"], "say": say}
    assert asked == [("cat_seg", Path("quickstart"), plain), ("scan", tmp_path, changed)]


def test_an_unknown_method_is_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    message = fails(capsys, monkeypatch, "quickstart", "--method", "catseg", "-o", tmp_path / "out")
    assert "no method 'catseg'; there are " in message
    assert "cat_seg" in message
    assert not (tmp_path / "out").exists()
