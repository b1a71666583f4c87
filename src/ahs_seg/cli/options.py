"""Checks of command-line options that typer does not make, and their error."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from ahs_seg.errors import AhsSegError

_MEANT: Final = {
    **dict.fromkeys(["jpg", "jpeg", "webp", "image", "blend"], "overlay"),
    **dict.fromkeys(["mask", "masks", "label", "labels"], "png"),
    **dict.fromkeys(["json", "rle"], "coco"),
    **dict.fromkeys(["tif", "tiff", "gtiff"], "geotiff"),
    **dict.fromkeys(["txt", "ultralytics"], "yolo"),
    **dict.fromkeys(["npy", "numpy", "array"], "npz"),
    **dict.fromkeys(["xml"], "cvat"),
    **dict.fromkeys(["mp4", "film", "movie", "h264"], "video"),
    **dict.fromkeys(["label-studio", "label_studio"], "labelstudio"),
}
"""Formats that other names of formats are given for."""


DeviceOption: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
DtypeOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--dtype", help="fp32, or bf16 or fp16 for matrix products; weights, cosines and scores stay in float32."
    ),
]
ThreadsOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads that compute; default: one per core, within the limits of cgroups."),
]
NoCacheOption: TypeAlias = Annotated[
    bool, typer.Option("--no-cache", help="Neither read nor keep text embeddings in the cache folder.")
]
DataChangesOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="How the labelled images are read, as for a training: data.KEY=VALUE."),
]


class OptionError(AhsSegError, ValueError):
    """Options cannot be combined, or an option is missing or has a wrong value; the message says what to give."""


def check_unused(options: Mapping[str, object], why: str) -> None:
    """Refuse options that would have no effect; `options` has their values (None, False or [] where not given).

    Raises:
        OptionError: one of them is given.
    """
    if given := [name for name, value in options.items() if value is not None and value is not False and value != []]:
        raise OptionError(f"{', '.join(given)}: {why}")


def check_words(words: Sequence[str]) -> None:
    """Refuse words of a command line that are empty, as a shell variable that is not set leaves them.

    An empty path would be the current folder.

    Raises:
        OptionError: a word, or the value of an option, is empty.
    """
    for before, word in zip(["ahs-seg", *words], words, strict=False):
        if not word.strip():
            place = f"the value of {before}" if before.startswith("-") else f"the word after {before!r}"
            raise OptionError(f"{place} is empty; give a value, or leave it out.")
        if word.startswith("--") and word.endswith("="):
            raise OptionError(f"the value of {word[:-1]} is empty; give a value, or leave the option out.")


def parse_formats(given: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """The output formats of the option `--format`, each once, in lower case; a comma separates several.

    Raises:
        OptionError: there is no such format; the message lists them all, and the one that was probably meant.
    """
    names = [name.strip().casefold() for word in given for name in word.split(",") if name.strip()]
    for name in names:
        if name not in allowed:
            near = _MEANT.get(name.lstrip(".")) or next(iter(get_close_matches(name, allowed, n=1)), None)
            hint = f"; did you mean {near}?" if near else "."
            raise OptionError(f"--format {name!r} is not known; formats are {', '.join(allowed)}{hint}")
    return list(dict.fromkeys(names))


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """The different whole numbers of a list such as `0,1,2`, in their order.

    Raises:
        OptionError: a part is no whole number.
    """
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise OptionError(f"{option} is {text!r}; give whole numbers separated by commas, e.g. 0,1,2.") from None


def check_model_path(path: Path) -> None:
    """Check, before a model is computed, that its directory can be written below the folder of `--output`.

    Raises:
        OptionError: it cannot.
    """
    _check_place(path, "--output")


def check_report_path(path: Path | None, option: str = "--output") -> None:
    """Check, before hours of work, that a report can be written to a file; its folder is created.

    Raises:
        OptionError: it cannot.
    """
    if path is None:
        return
    if path.is_dir():
        raise OptionError(f"{option} {str(path)!r} is a folder; give the path of a file, e.g. {path / 'report.json'}.")
    _check_place(path, option)


def _check_place(path: Path, option: str) -> None:
    """Create the folder of an output, and a file in it that is gone at once: drafts are written beside the output."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OptionError(f"{option} {str(path)!r} cannot be written ({error.strerror}); choose another.") from None
