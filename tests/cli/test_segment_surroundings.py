"""Images are segmented on machines that have no home, no cache, few open files, no input or no Unicode."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import AHS_SEG


def few_files() -> None:
    """Allow a process 64 open files."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def no_input() -> None:
    """Close the standard input of a process."""
    os.close(0)


NOWHERE = "/proc/nowhere"
SURROUNDINGS: dict[str, tuple[dict[str, str | None], tuple[Callable[[], None], ...]]] = {
    "no home, no cache, no input, no Unicode, 64 open files": (
        {"HOME": None, "HF_HOME": None, "LC_ALL": "C", "XDG_CACHE_HOME": NOWHERE, "TORCH_HOME": NOWHERE},
        (no_input, few_files),
    ),
    "no cache": ({"HF_HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "TORCH_HOME": NOWHERE}, ()),
}
"""What changes in the environment, and what is done in the process before the command starts; all at once, since a
process takes seconds to start. The second differs in that the cache of the hub is named and cannot be made."""
FAST, SLOW = SURROUNDINGS


@pytest.mark.skipif(sys.platform == "win32", reason="limits and closed streams of POSIX")
@pytest.mark.parametrize("name", [FAST, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_images_are_segmented_in_any_surroundings(name: str, model: Path, folder: Path, tmp_path: Path) -> None:
    changes, before = SURROUNDINGS[name]
    environment = {key: value for key, value in {**os.environ, **changes}.items() if value is not None}
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number, path in enumerate(sorted((folder / "images" / "test").glob("*.png"))[:2]):
        shutil.copyfile(path, source / f"猫 {number}.png")
    words = ("segment", source, "--classes", "ciel é, 砂", "--model", model, "-o", out)
    done = subprocess.run(
        [*AHS_SEG, *map(str, words)],
        env={**environment, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: [change() for change in before],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 images" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for number in range(2):
        assert "ciel é" in (out / f"猫 {number}.classes.json").read_text(encoding="utf-8")
