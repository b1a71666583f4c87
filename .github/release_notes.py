"""Print the section of CHANGELOG.md that belongs to a tag; refuse a tag that is not the version of pyproject.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


class ReleaseError(ValueError):
    """A tag that cannot be released."""


def release_notes(tag: str, *, version: str, changelog: str) -> str:
    """The text of the changelog's section for `version`, without its heading.

    Raises:
        ReleaseError: if the tag is not `v` and the version, or if the section is missing or empty.
    """
    if tag != f"v{version}":
        raise ReleaseError(
            f"the tag is {tag!r}, the version in pyproject.toml is {version}; the tag must be 'v{version}'. "
            "Write the new version into pyproject.toml, commit, and tag that commit."
        )
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    found = re.search(heading + r"(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError(
            f"CHANGELOG.md has no text under '## [{version}] - YYYY-MM-DD'. "
            "Give what stands under '## [Unreleased]' this heading, commit, and tag that commit."
        )
    return found[1].strip() + "\n"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        sys.stdout.write(release_notes(sys.argv[1], version=project["version"], changelog=log))
    except ReleaseError as error:
        sys.exit(f"error: {error}")
