"""Provenance of measured numbers: versions, hardware, commit, command, date."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import torch

from ahs_seg.config import Config
from ahs_seg.io.cores import available_cores

PACKAGES: Final = ("ahs-seg", "torch", "transformers", "numpy", "pillow")
_RESULTS: Final = "benchmarks/results"
"""Files of the repository that are no code: measurements made one after the other belong to one commit."""


class Provenance(Config):
    """Data to judge and repeat a measurement; `commit` ends in `+changes` if code was not committed."""

    versions: dict[str, str]
    hardware: dict[str, str | int | float]
    commit: str | None
    command: tuple[str, ...]
    date: str


def provenance() -> Provenance:
    """The provenance of results that this process computes."""
    return Provenance(
        versions=_versions(),
        hardware=_hardware(),
        commit=_commit(Path(__file__).parents[1]),
        command=(Path(sys.argv[0]).name, *sys.argv[1:]),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _hardware() -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
        facts["gpus"] = torch.cuda.device_count()
    return facts


def processor() -> str:
    """Name of the processor, or "unknown"."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


@cache
def _commit(folder: Path) -> str | None:
    """The commit of the working copy; None for an installed package or without git.

    Asked once: a process computes with the code that it has imported, whatever happens to the files later.
    """
    if not (folder.parents[1] / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", f":(top,exclude){_RESULTS}")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # fixed arguments
    return result.stdout.strip()
