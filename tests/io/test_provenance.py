from __future__ import annotations

import re
from pathlib import Path

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
