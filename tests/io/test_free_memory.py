"""Free memory as Linux and its control groups tell it, from files with known numbers."""

from pathlib import Path

import pytest
import torch

from ahs_seg.io.free_memory import free_bytes

CPU = torch.device("cpu")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:   4000 kB\n")
    return tmp_path / "proc"


def group(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / f"memory.{name}").write_text(value + "\n")


def test_without_groups_it_is_what_linux_calls_available(proc: Path, tmp_path: Path):
    assert free_bytes(CPU, proc=proc, groups=tmp_path / "none") == 4000 * 1024


def test_the_smallest_rest_of_all_groups_above_counts(proc: Path, tmp_path: Path):
    (proc / "self/cgroup").write_text("0::/job/step\n")
    group(tmp_path / "g/job", max="900000", current="700000", stat="anon 5\ninactive_file 1000")
    group(tmp_path / "g/job/step", max="max", current="600000")
    assert free_bytes(CPU, proc=proc, groups=tmp_path / "g") == 201_000
    group(tmp_path / "g/job/step", max="600001")
    assert free_bytes(CPU, proc=proc, groups=tmp_path / "g") == 1


def test_groups_of_version_1(proc: Path, tmp_path: Path):
    (proc / "self/cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n")
    group(tmp_path / "g/memory/a", limit_in_bytes="5000", usage_in_bytes="3000")
    assert free_bytes(CPU, proc=proc, groups=tmp_path / "g") == 2000


def test_where_nothing_tells_it_is_not_known(tmp_path: Path):
    assert free_bytes(CPU, proc=tmp_path, groups=tmp_path) is None
    assert free_bytes(torch.device("meta")) is None
