"""Memory that this process may still take: of a GPU, or of the machine within the limits of its control group."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

PROC: Final = Path("/proc")
GROUPS: Final = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device, *, proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Bytes that can be allocated on a device; None where that cannot be told (other systems than Linux, MPS).

    On a GPU what PyTorch holds but does not use counts as free. On a CPU it is the memory that Linux calls available,
    or what the control groups of this process (a container, a job of a cluster) leave, whichever is less.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type != "cpu":
        return None
    found = [value for value in (_available(proc), *_left_in_groups(proc, groups)) if value is not None]
    return max(0, min(found)) if found else None


def _available(proc: Path) -> int | None:
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _left_in_groups(proc: Path, groups: Path) -> list[int]:
    """What is left of each limit that holds for this process; groups of version 2, and of version 1 (`memory`)."""
    left = []
    for line in _text(proc / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        version_2 = not controllers
        if not version_2 and "memory" not in controllers.split(","):
            continue
        root = groups if version_2 else groups / "memory"
        names = ("memory.max", "memory.current") if version_2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            limit, used = (_number(folder / name) for name in names)
            if limit is not None and used is not None:
                left.append(limit - used + (_number_of(folder / "memory.stat", "inactive_file") or 0))
            if folder == root:
                break
    return left


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _number_of(path: Path, key: str) -> int | None:
    """A value of a file of keys and values; the file cache counts as used, but gives way."""
    found = [line.split()[1] for line in _text(path).splitlines() if line.startswith(f"{key} ")]
    return int(found[0]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
