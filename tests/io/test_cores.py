"""Cores that a process may use, by drawn files of the kernel, and the number of threads."""

import os
from pathlib import Path

import pytest
import torch

from ahs_seg.io.cores import ThreadsError, available_cores, use_threads


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 64 cores, on which the user has chosen no number of threads."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of threads of PyTorch, which tests may change."""
    number = [64]
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[-1])
    monkeypatch.setattr(torch, "set_num_threads", number.append)
    return number


def drawn(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2 = {"proc/self/cgroup": "0::/a/b\n"}
V1 = {"proc/self/cgroup": "5:memory:/a\n3:cpu,cpuacct:/a\n0::/a\n"}
FIRST = "sys/fs/cgroup/cpu,cpuacct"
LIMITS: dict[str, tuple[dict[str, str], int]] = {
    "none": ({}, 64),
    "v2, no limit": (V2 | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 64),
    "v2, of its own group": (V2 | {"sys/fs/cgroup/a/b/cpu.max": "200000 100000\n"}, 2),
    "v2, of a group above": (
        V2 | {"sys/fs/cgroup/a/b/cpu.max": "800000 100000", "sys/fs/cgroup/a/cpu.max": "300000 100000"},
        3,
    ),
    "v2, in a container": ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "150000 100000"}, 2),
    "v2, less than a core": (V2 | {"sys/fs/cgroup/a/b/cpu.max": "1000 100000"}, 1),
    "v2, more than there are": (V2 | {"sys/fs/cgroup/a/b/cpu.max": "99900000 100000"}, 64),
    "v1": (V1 | {f"{FIRST}/a/cpu.cfs_quota_us": "400000\n", f"{FIRST}/a/cpu.cfs_period_us": "100000\n"}, 4),
    "v1, in a container": (
        V1 | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "10000"},
        5,
    ),
    "v1, no limit": (V1 | {f"{FIRST}/a/cpu.cfs_quota_us": "-1\n", f"{FIRST}/a/cpu.cfs_period_us": "100000\n"}, 64),
    "nonsense": ({"proc/self/cgroup": "0::/a/b\nx\n", "sys/fs/cgroup/a/b/cpu.max": "many few"}, 64),
    "a period of zero": (V2 | {"sys/fs/cgroup/a/b/cpu.max": "1000 0"}, 64),
}


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(("files", "cores"), LIMITS.values(), ids=LIMITS)
def test_cores_are_counted_within_the_limits_of_cgroups(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert available_cores(drawn(tmp_path, files)) == cores


def test_an_affinity_mask_is_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert available_cores(tmp_path) == 3


@pytest.mark.usefixtures("many_cores")
def test_threads_are_lowered_to_the_limit_unless_the_user_chose(
    threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ahs_seg.io.cores.available_cores", lambda: 4)
    assert use_threads() == 4
    assert use_threads() == 4
    assert threads == [64, 4]
    threads.append(7)  # chosen by torch.set_num_threads
    assert use_threads() == 7
    threads.append(64)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert use_threads() == 64
    assert use_threads(9) == 9, "an argument is obeyed"
    assert threads[-1] == 9


@pytest.mark.usefixtures("many_cores")
def test_threads_are_never_raised(threads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.cores.available_cores", lambda: 64)
    threads.append(32)
    assert use_threads() == 32


@pytest.mark.parametrize("number", [0, -1, 10**6])
def test_numbers_that_no_machine_has_are_refused(number: int, threads: list[int]) -> None:
    with pytest.raises(ThreadsError, match=rf"threads: {number} is not allowed; give 1 to 1024\. \d+ can compute"):
        use_threads(number)
    assert threads == [64]
