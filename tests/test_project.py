"""The files around the package say the same thing: workflows, Makefile, versions, hooks, changelog."""

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE = runpy.run_path(str(ROOT / ".github" / "release_notes.py"))
CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n- A thing.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n"
)


def pins(name: str) -> dict[str, str]:
    """Versions of a constraints file by canonical name."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonical(name): version.split()[0] for name, version in pairs}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def commands(path: Path) -> list[str]:
    """Commands of all steps of a workflow."""
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_every_make_target_that_ci_calls_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(commands(path)) if path.suffix else path.read_text(encoding="utf-8")
    called = set(re.findall(r"^\s*make ([a-z-]+)", text, re.MULTILINE))
    assert called
    assert called <= targets


def test_the_workflow_runs_what_the_local_ci_runs() -> None:
    local = set(re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE))
    hosted = "\n".join(commands(ROOT / ".github" / "workflows" / "ci.yml"))
    assert local <= set(re.findall(r"make ([a-z-]+)", hosted))


def test_the_versions_of_python_that_are_declared_are_those_that_are_tested() -> None:
    classifiers = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == classifiers
    assert PROJECT["requires-python"] == f">={classifiers[0]}"


def test_the_floors_that_are_declared_are_those_that_are_tested() -> None:
    extras = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    pinned = pins("constraints-floors.txt")
    for requirement in [*PROJECT["dependencies"], *extras]:
        found = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:,<[\d.]+)?", requirement)
        if found is None:
            assert requirement.startswith("ahs-seg["), f"{requirement} has no floor"
        elif found[1] != "torch":  # constraints-floors.txt says why
            assert release(pinned[canonical(found[1])])[: len(release(found[2]))] == release(found[2]), requirement


def release(version: str) -> tuple[int, ...]:
    """A version as numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_hooks_before_a_commit_use_the_versions_of_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    pinned = pins("constraints.txt")
    for requirement in {each for hook in hooks for each in hook["additional_dependencies"]}:
        name, _, version = requirement.partition("==")
        assert pinned[canonical(name)] == version


def test_release_notes_are_the_section_of_the_version() -> None:
    assert RELEASE["release_notes"]("v1.2.3", version="1.2.3", changelog=CHANGELOG) == "- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [("v1.2.4", "1.2.3", "must be 'v1.2.3'"), ("v1.3.0", "1.3.0", "no text under '## \\[1.3.0\\]")],
)
def test_a_tag_that_cannot_be_released_is_refused(tag: str, version: str, message: str) -> None:
    with pytest.raises(RELEASE["ReleaseError"], match=message):
        RELEASE["release_notes"](tag, version=version, changelog=CHANGELOG)
