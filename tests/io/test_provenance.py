from __future__ import annotations

import re

from ahs_seg.io.provenance import provenance


def test_provenance_names_versions_hardware_and_commit():
    found = provenance()
    assert found.versions.keys() >= {"python", "ahs-seg", "torch"}
    assert found.hardware["cores"] >= 1
    assert found.commit is None or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", found.commit)
    assert found.date.endswith("+00:00")
