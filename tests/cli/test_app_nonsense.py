"""Every option of every command, with a value that makes no sense: a message that names it, never a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from ahs_seg.cli import app, main

pytestmark = pytest.mark.xdist_group("commands")

NONSENSE = "no such [red]thing{{x}}"
BASES: dict[str, Sequence[str]] = {
    "quickstart": ["training.steps=1", "training.optimizer.warmup_steps=0"],
    "segment": ["IMAGES", "--classes", "sky, sand", "--model", "MODEL", "-o", "OUT"],
    "serve": ["--model", "MODEL"],
    "train": ["nowhere.yaml"],
    "finetune-crop-clip": ["nowhere.yaml"],
    "shift": ["nowhere.yaml"],
    "evaluate": ["MODEL", "--data", "world-20", "--count", "1"],
    "ablate": ["training.steps=100", "-o", "OUT"],
    "score": ["IMAGES", "--data", "world-20", "--count", "1"],
    "export": ["MODEL", "-o", "OUT"],
    "benchmark": [],
    "import": ["FILE", "-o", "OUT"],
    "models": [],
    "data prepare": ["ade20k-150", "--root", "OUT"],
    "data verify": ["ade20k-150", "--root", "OUT"],
    "data list": [],
    "data check": ["world-20"],
    "vocab lint": ["cat, sofa"],
    "vocab diff": ["cat", "sofa"],
    "vocab show": ["cat"],
    "world draw": ["-o", "OUT", "--count", "1"],
    "world pretrain": ["steps=0"],
}
"""The other words of a command; what fails without any option does its checks of options first."""

TAKEN = {
    ("score", "--method"),  # any name
    ("score", "--seen"),
    ("segment", "--classes"),
    ("segment", "--background"),
    ("export", "--classes"),
    ("score", "--root"),  # may come from the environment, for benchmarks alone
    ("evaluate", "--root"),
    ("data check", "--root"),
    ("data list", "--root"),  # lists that nothing is there
    ("serve", "--host"),  # the operating system knows
}
OF_SOMETHING_ELSE = {"train", "finetune-crop-clip", "shift", "import", "data prepare", "data verify", "world pretrain"}
"""Commands whose other words are refused first where typer has no objection to the option."""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


ALL = dict(commands(typer.main.get_command(app)))


def nonsense_for(option: Any, below_a_file: str) -> list[list[str]]:
    name = max(option.opts, key=len)
    kind = str(option.type_descriptor.annotation)
    if option.is_flag:
        return [[f"{name}=maybe"]]
    if "int" in kind:
        return [[name, "many"], [name, "-7"], [name, ""]] if option.min is not None else [[name, "many"], [name, ""]]
    if "float" in kind:
        return [[name, "many"], [name, ""]]
    return [[name, below_a_file if "Path" in kind else NONSENSE], [name, ""], [f"{name}="]]


def test_every_command_is_driven() -> None:
    assert ALL.keys() == BASES.keys()


@pytest.mark.parametrize("name", BASES)
def test_nonsense_is_named(
    name: str,
    model: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "file.txt"
    file.write_text("nothing")
    places = {"IMAGES": folder / "images", "MODEL": model, "OUT": tmp_path / "out", "FILE": file}
    base = [str(places.get(word, word)) for word in BASES[name]]
    for option in ALL[name].params:
        long = max(option.opts, key=len)
        if option.param_type_name != "option" or long == "--help" or (name, long) in TAKEN:
            continue
        for words in nonsense_for(option, str(file / "x")):
            monkeypatch.setattr("sys.argv", ["ahs-seg", *name.split(), *base, *words])
            with pytest.raises(SystemExit) as end:
                main()
            shown = capsys.readouterr().err
            assert end.value.code == 2, (words, shown)
            assert "Traceback" not in shown
            assert "unexpected" not in shown, (words, shown)
            text = " ".join(shown.replace("│", " ").split())
            named = long in text or long.strip("-").split("-")[0] in text or words[-1] in text
            assert named or name in OF_SOMETHING_ELSE, (words, text)
