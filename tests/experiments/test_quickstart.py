"""The quickstart without training: every file it promises, and the table."""

import json
import re
from pathlib import Path

import pytest

from ahs_seg.checkpoints.model_dir import read_description
from ahs_seg.config import ConfigError
from ahs_seg.experiments.quickstart import (
    BASELINES,
    OTHER_VOCABULARIES,
    Sizes,
    _configs,
    has_fast_bf16,
    precision_overrides,
    quickstart,
)


@pytest.mark.parametrize(
    ("method", "others"),
    [("zero_shot", (20, 59, 459, 847)), pytest.param("cat_seg", (20, 59), marks=pytest.mark.slow)],
)
def test_the_quickstart_writes_a_page_and_results(
    method: str, others: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The large vocabularies once: what they are does not depend on the method."""
    assert OTHER_VOCABULARIES == (20, 59, 459, 847)
    monkeypatch.setattr("ahs_seg.experiments.quickstart.OTHER_VOCABULARIES", others)
    said: list[str] = []
    short = ["training.steps=4", "training.optimizer.warmup_steps=1", "training.workers=0"]
    overrides = [] if method == "zero_shot" else short
    page = quickstart(
        method, tmp_path, sizes=Sizes(scenes=3, others=1, calibration=2), overrides=overrides, say=said.append
    )
    html = page.read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:|url\(\s*["']?https?:|@import""", html)
    assert html.count("data:image/") == 3 * 3 + 4 * 2
    results = json.loads((tmp_path / "results.json").read_text())
    assert [one["images"] for one in results["evaluations"]] == [3] + [1] * len(others)
    assert len(results["baselines"]) == (0 if method == "zero_shot" else 2 * (1 + len(others)))
    if results["baselines"]:  # the best form first: it is what the report compares with
        assert results["baselines"][0]["method"] == "zero_shot"
        assert {one["method"] for one in results["baselines"]} == set(BASELINES)
    (table,) = (line.splitlines() for line in said if "world-150" in line)
    assert len({len(line) for line in table}) == 1, "columns stand below one another"
    (model,) = tmp_path.glob("run*/model")
    calibration = read_description(model).calibration
    assert calibration is not None
    assert calibration.source == "2 images with 150 classes"


def test_an_unknown_method_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no method 'catseg'; there are cat_seg, .*zero_shot"):
        quickstart("catseg", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "overrides", "problem"),
    [
        ("cat_seg", ["shift.training.steps=9"], r"shift.training.steps=9: only scan, with its ensemble, has a second"),
        ("scan", ["method.ensemble=null", "shift.training.steps=9"], r"shift.training.steps=9: only scan"),
        ("scan", ["shift.training.step=9"], r"training\.step: unknown key"),
        ("zero_shot", ["training.steps=9"], r"training.steps=9: zero_shot is not trained"),
    ],
)
def test_overrides_of_what_is_not_trained_are_told_before_anything_is_written(
    method: str, overrides: list[str], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=problem):
        quickstart(method, tmp_path / "out", overrides=overrides)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["scan", "cat_seg"])
def test_overrides_reach_the_stage_that_they_name(method: str) -> None:
    second = ["shift.training.steps=300"] if method == "scan" else []
    experiment, stage = _configs(method, 7, ["training.steps=500", *second])
    assert experiment is not None
    assert (experiment.training.steps, experiment.training.seed) == (500, 7)
    assert (stage is not None) == (method == "scan")
    if stage is not None:
        assert (stage.training.steps, stage.training.seed) == (300, 7)


def test_float32_is_used_where_bfloat16_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision_overrides(fast_bf16=True) == []
    assert precision_overrides(fast_bf16=False) == ["training.precision=fp32"]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert has_fast_bf16()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    assert not has_fast_bf16()


def test_overrides_of_the_user_may_replace_those_of_the_quickstart() -> None:
    experiment, second_stage = _configs("cat_seg", 3, ["training={steps: 2}"])
    assert experiment is not None
    assert (experiment.training.steps, second_stage) == (2, None)
