"""The command around vocabularies."""

import json

import pytest

from tests.support.command_line import run


def test_vocab(model, tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("sky\nSky\ngrass\n")
    assert "line 2: 'Sky' is also line 1" in run("vocab", "lint", path, status=1)
    report = json.loads(run("vocab", "lint", path, "--model", model, "--json", status=1))
    assert {finding["code"] for finding in report["findings"]} >= {"duplicate", "no-background", "trained"}
    assert "1 in both, 1 only in cat, sky, 1 only in sky, sea" in run("vocab", "diff", "cat, sky", "sky, sea", status=1)
    assert json.loads(run("vocab", "diff", "a, b", "b, a", "--json"))["equal"] is True
    assert "   0  wall" in run("vocab", "show", "ade20k-150")
    assert json.loads(run("vocab", "show", "ade20k-150", "--json"))["count"] == 150
    assert json.loads(run("vocab", "show", "--json"))["ade20k-150"] == 150
    with pytest.raises(ValueError, match="give --model as well"):
        run("vocab", "lint", path, "--near", 0.5)
