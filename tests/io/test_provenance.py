from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ahs_seg.io import provenance as module
from ahs_seg.io.provenance import provenance


def test_provenance_names_versions_hardware_and_commit():
    found = provenance()
    assert found.versions.keys() >= {"python", "ahs-seg", "torch"}
    assert found.hardware["cores"] >= 1
    if (Path(__file__).parents[2] / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", found.commit or "")
    else:
        assert found.commit is None
    assert found.date.endswith("+00:00")


def test_the_commit_is_that_of_the_code_which_was_imported(monkeypatch):
    first = provenance().commit
    monkeypatch.setattr("ahs_seg.io.provenance._git", lambda *_: "another")
    assert provenance().commit == first


def test_changed_code_is_told_and_changed_results_are_not(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    def commit():
        return module._commit.__wrapped__(tmp_path / "src" / "ahs_seg")

    results, code = tmp_path / "benchmarks/results/one.json", tmp_path / "src/ahs_seg/one.py"
    for path in (results, code):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    git("init")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "one")
    clean = commit()
    results.write_text("2")
    assert commit() == clean
    code.write_text("2")
    assert commit() == f"{clean}+changes"
