"""The command around vocabularies."""

import json

import pytest

from tests.support.command_line import fails, run


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


def test_lint_takes_words_and_lists_of_other_tools(tmp_path, capsys, monkeypatch):
    assert "cat, dog: 2 classes, 1 findings" in run("vocab", "lint", "cat, dog")
    assert "'cat' is the only class" in run("vocab", "lint", "cat")
    assert "'Cat' is also line 1" in run("vocab", "lint", "cat; dog; Cat", status=1)
    (tmp_path / "data.yaml").write_text("names: {0: cat, 1: dog}")
    assert "2 classes" in run("vocab", "lint", tmp_path / "data.yaml")
    assert "   1  dog" in run("vocab", "show", tmp_path / "data.yaml")
    assert json.loads(run("vocab", "diff", tmp_path / "data.yaml", "dog、cat", "--json"))["equal"] is True
    assert "150 classes" in run("vocab", "lint", "ADE20K-150")
    assert "did you mean ade20k-150 or ade20k-847" in fails(capsys, monkeypatch, "vocab", "lint", "ade20k")
    assert "beside it are" in fails(capsys, monkeypatch, "vocab", "lint", tmp_path / "date.yaml")
