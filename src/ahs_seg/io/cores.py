"""How many cores this process may use, and the number of threads that it computes with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ahs_seg.errors import AhsSegError

MAX_THREADS: Final = 1024
_SET_BY_USER: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")
_ROOT: Final = Path("/")


class ThreadsError(AhsSegError, ValueError):
    """A number of threads is not allowed."""


def available_cores(root: Path = _ROOT) -> int:
    """The cores that this process may use, at least 1: those of its affinity mask, and no more than its cgroups allow.

    A limit of 1.5 cores, as containers have it, counts as 2. `root` is where `proc` and `sys` are found.
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *(_cores(quota, period) for quota, period in _quotas(root))]))


def _cores(quota: int, period: int) -> int:
    return max(1, -(-quota // period))


def _quotas(root: Path) -> Iterator[tuple[int, int]]:
    """Time of computing and length of the period, both in microseconds, of every cgroup of this process with a limit.

    Source: `cpu.max` of cgroup v2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` of v1 (documentation of Linux).
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    base = root / "sys/fs/cgroup"
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):  # id:controllers:path
        unified = not controllers
        if not unified and "cpu" not in controllers.split(","):
            continue
        for top in [base] if unified else [base / controllers, base / "cpu"]:
            for folder in _upwards(top, path):
                with suppress(OSError, ValueError):
                    yield _of_v2(folder) if unified else _of_v1(folder)


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """The folder of a cgroup and those of the groups that it is in; in a container it may itself be the top."""
    parts = [part for part in path.split("/") if part not in ("", "..", ".")]
    for count in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:count])


def _of_v2(folder: Path) -> tuple[int, int]:
    quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()  # "max 100000": no limit, no number
    return _positive(quota), _positive(period)


def _of_v1(folder: Path) -> tuple[int, int]:
    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period"))
    return _positive(quota), _positive(period)  # -1: no limit


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError(text)
    return value


def check_threads(threads: int) -> int:
    """The number itself.

    Raises:
        ThreadsError: it is less than 1 or more than any machine has.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise ThreadsError(
            f"threads: {threads} is not allowed; give 1 to {MAX_THREADS}. {available_cores()} can compute here at once."
        )
    return threads


def use_threads(threads: int | None = None) -> int:
    """Set the number of threads that PyTorch computes with in this process; returns the number in use.

    None lowers it to `available_cores` if it is higher, as in a container with a limit, of which PyTorch knows nothing.
    It leaves a number alone that the user has chosen: by `OMP_NUM_THREADS` or `MKL_NUM_THREADS`, or by
    `torch.set_num_threads`, unless that is the number that PyTorch takes by itself.

    Raises:
        ThreadsError: the number is not allowed.
    """
    import torch  # processes that only prepare data count cores without it

    if threads is not None:
        if check_threads(threads) != torch.get_num_threads():
            torch.set_num_threads(threads)
        return threads
    present, limit = torch.get_num_threads(), available_cores()
    chosen = any(os.environ.get(name) for name in _SET_BY_USER) or present not in _usual()
    if present > limit and not chosen:
        torch.set_num_threads(limit)
    return torch.get_num_threads()


def _usual() -> set[int]:
    """Numbers of threads that PyTorch takes by itself: one per core, or one for two of a processor that runs two."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    every = os.cpu_count() or 1
    return {own, every, max(1, own // 2), max(1, every // 2)}
