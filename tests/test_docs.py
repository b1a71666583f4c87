"""Every code block of the documentation runs, or says why it does not and at least names options that exist.

The blocks of a page run in order, in one folder, which begins with what `prepared` puts there. A comment before a
block directs the test:

    <!-- with: training.steps=2000 -> training.steps=2; openai/clip -> tiny -->   texts replaced before it runs
    <!-- not run: downloads 600 MB -->                                           only its options are checked
"""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.core import TyperGroup

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.checkpoints.known import DEFAULT_MODEL
from ahs_seg.cli import app
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.data.world.names import VOCABULARY_SIZES, splits, vocabulary_names
from ahs_seg.experiments.ablation.suites import Suite, find_experiment
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.io.cache_folder import cache_folder
from ahs_seg.methods import ZeroShotConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<order>with|not run): (?P<detail>[^\n]*) -->\n)?"
    r"```(?P<language>\w+)(?: title=(?P<title>\S+))?\n(?P<code>.*?)```",
    re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#([^)\s]+))?\)")
LONG = ("docs/ablations.md", "docs/own-data.md", "docs/world.md")
"""Pages that train several models; their blocks run in `make slow`."""
DRAWN = ("mermaid", "text", "math", "json", "csv")
MODEL = Path("quickstart/run-cat_seg-seed0/model")


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment before it says."""

    language: str
    code: str
    title: str | None
    reason: str | None
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        code, order, detail = match["code"], match["order"], match["detail"]
        for pair in detail.split("; ") if order == "with" else []:
            old, new = pair.split(" -> ")
            assert old in code, f"{page.name}: {old!r} is not in the block"
            code = code.replace(old, new)
        line = text[: match.start("code")].count("\n") + 1
        found.append(Block(match["language"], code, match["title"], detail if order == "not run" else None, line))
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, a labelled folder and a model, as somebody has who followed the quickstart."""
    folder = tmp_path_factory.mktemp("prepared")
    with contextlib.chdir(folder):
        fill()
    return folder


@pytest.fixture
def prepared(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it. The published model that is the default is a small one, which has been downloaded."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(MODEL, cache_folder() / "models" / DEFAULT_MODEL)
    return tmp_path


def fill() -> None:
    dataset = WorldDataset(seed=1, count=4, names=20)
    for split, indices in {"train": (0, 1, 2), "val": (3,)}.items():
        for index in indices:
            sample = dataset[index]
            save(Path("streets/images") / split / f"{sample.name}.jpg", sample.image)
            save(Path("streets/annotations") / split / f"{sample.name}.png", sample.labels.astype(np.uint8))
    Path("streets/classes.txt").write_text("\n".join(dataset.vocabulary.labels) + "\n")
    shutil.copytree("streets/images/val", "photos")
    shutil.copy(next(Path("photos").iterdir()), "photos/scene.jpg")
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    seen = tuple(dataset.vocabulary.labels[:10])
    save_model(config.build(), ModelDescription(method=config, trained_on=seen), MODEL)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def runs(page: Path) -> Any:
    """The parameter of a page whose blocks are run."""
    return pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] if name_of(page) in LONG else [])


@pytest.mark.parametrize("page", map(runs, PAGES))
def test_blocks_run(page: Path, prepared: Path) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.reason is not None or block.language in DRAWN:
            continue
        if block.language == "bash":
            for words in commands_of(block.code):
                run_command(words)
        elif block.language == "python":
            code = compile("\n" * block.line + block.code, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, namespace)
        else:
            assert block.language == "yaml", f"{page.name}:{block.line}: {block.language} blocks are not tested"
            assert block.title is not None, f"{page.name}:{block.line}: a yaml block needs title=its-file.yaml"
            Path(block.title).write_text(block.code)
            (Suite if "\nrows:" in block.code else Experiment).read(block.title)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_have_the_options_that_are_used(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            compile(block.code, str(page), "exec")
        if block.language == "bash":
            for words in commands_of(block.code):
                check_command(words)


def commands_of(code: str) -> list[list[str]]:
    """The words of each line; what a line means beyond that (pipes, variables) has no place in these pages."""
    lines = [shlex.split(line, comments=True) for line in code.replace("\\\n", " ").splitlines()]
    return [words for words in lines if words]


def run_command(words: list[str]) -> None:
    """Our own command in this process, where shapes are checked and nothing is imported anew; others as they are."""
    if words[0] != "ahs-seg":
        subprocess.run(words, check=True, timeout=60)
        return
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert not app(words[1:], standalone_mode=False), " ".join(words)


@cache
def whole_command() -> Any:
    return typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    if words[:1] == ["make"]:
        targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
        assert [word for word in words[1:] if "=" not in word and word not in targets] == []
    if words[:1] != ["ahs-seg"]:
        return
    command, rest = whole_command(), words[1:]
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"ahs-seg has no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {"--help", *(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))}
    used = [word.partition("=")[0] for word in rest if word.startswith("-")]
    assert [name for name in used if name not in known] == [], " ".join(words)
    if command.name == "train" and rest and (not rest[0].endswith(".yaml") or Path(rest[0]).exists()):
        find_experiment(rest[0], [word for word in rest[1:] if "=" in word and not word.startswith("-")])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in LINK.findall(text):
        path = (page.parent / target).resolve()
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name}: {target}#{anchor}"


def test_the_check_of_options_finds_wrong_ones() -> None:
    for line in (
        "ahs-seg segment photos --clases x",
        "ahs-seg fly",
        "make tea",
        "ahs-seg train cat_seg_vitb method.x=1",
    ):
        with pytest.raises((AssertionError, ValueError)):
            check_command(shlex.split(line))


def test_the_table_of_vocabularies_is_that_of_the_code() -> None:
    page = (ROOT / "docs/world.md").read_text(encoding="utf-8")
    for size in VOCABULARY_SIZES:
        counts = Counter(splits()[name] for name in vocabulary_names(size))
        assert f"| {size} | {counts['seen']} | {counts['combination']} | {counts['novel']} |\n" in page


def test_the_figures_of_the_tiny_clip_are_those_of_its_file() -> None:
    page = (ROOT / "docs/world.md").read_text(encoding="utf-8")
    figures = json.loads((ROOT / "src/ahs_seg/assets/tiny_clip/test.json").read_text())
    for kind in ("trained", "never_trained"):
        assert row(figures[kind], "top1", "colour", "texture", "shape") in page
    for kind in ("whole", "windowed"):
        assert row(figures[kind], "miou", "seen", "unseen") in page
    for place in ("columns", "rows"):
        assert f"between {min(figures[place]):.3f} and {max(figures[place]):.3f} in every {place[:-1]}" in page


def row(figures: dict[str, float], *names: str) -> str:
    return "| " + " | ".join(f"{100 * figures[name]:.1f}" for name in names) + " |\n"
