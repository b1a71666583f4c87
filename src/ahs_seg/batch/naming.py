"""Names of the results of a run: one for every input, also on file systems that ignore case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Final

OVERLAY: Final = ".overlay"


def unique_names(names: Sequence[str], suffixes: Sequence[str], videos: Sequence[bool]) -> list[str]:
    """Names without extension that differ even if case is ignored, in the given order.

    Inputs whose names are equal get their extension: `a_jpg` and `a_png`; where that does not help, a number: `a_jpg`
    and `a_JPG_2`. The frames of a video are written to a folder of its name, so a video is renamed if an image lies in
    a folder of that name. `a.overlay` is renamed beside `a`, whose overlay is called `a.overlay.png`.
    """
    equal: defaultdict[str, int] = defaultdict(int)
    folders: set[str] = set()
    for name in map(str.casefold, names):
        equal[name] += 1
        folders.update(parent.as_posix() for parent in PurePosixPath(name).parents)
    taken = {name for name, number in equal.items() if number == 1}
    found = []
    for name, suffix, is_video in zip(names, suffixes, videos, strict=True):
        key = name.casefold()
        is_overlay = key.endswith(OVERLAY) and key.removesuffix(OVERLAY) in equal
        if equal[key] == 1 and not is_overlay and not (is_video and key in folders):
            found.append(name)
            continue
        found.append(_free(f"{name}_{suffix.removeprefix('.')}", taken))
        taken.add(found[-1].casefold())
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    if name.casefold() not in taken:
        return name
    return next(other for number in count(2) if (other := f"{name}_{number}").casefold() not in taken)
