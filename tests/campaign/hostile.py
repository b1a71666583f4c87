"""Hostile files of all kinds, each with the command that reads it."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from ahs_seg.io.rle import encode_rle
from tests.campaign import archives, checkpoints
from tests.campaign.damage import DAMAGES, nested, spoiled
from tests.campaign.models import WORDS, photographs
from tests.support.official import byte_tokenizer_file

MODEL: Final = ("segment", "photos", "--classes", WORDS, "--model", "model", "-o", "out")
IMPORT: Final = ("import", "--as", "clip", "--tokenizer", "tokenizer.json", "-o", "out")
PREPARE: Final = ("data", "prepare", "ade20k-150", "--root", ".", "--workers", "1")
TAGS: Final = (
    "!!python/object/apply:os.mkdir ['../ran']",
    "!!python/object/apply:os.system ['touch ../ran']",
    "!!python/name:os.system ''",
    "!!python/module:subprocess ''",
    "!!python/object/new:os.mkdir ['../ran']",
    "!!binary '////'",
    "!!timestamp 2001-01-01",
    "!!set {a, b}",
)


@dataclass(frozen=True)
class Hostile:
    """A case: what is put into its folder, and the words of the command that reads it there."""

    name: str
    write: Callable[[Path], object]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Templates:
    """What hostile files are made from, drawn once: a model directory, a benchmark, a CLIP in every format."""

    folder: Path
    model: Path

    def cases(self, seed: int, count: int) -> Iterator[Hostile]:
        """`count` cases, of all kinds in turn; the same for the same seed."""
        draw = random.Random(seed)
        kinds = [*self._imports(draw), *self._archives(draw), self._models(draw, count)]
        kinds += [_configs(draw, count), _documents(draw, count)]
        mixed = (case for row in itertools.zip_longest(*kinds) for case in row if case is not None)
        return itertools.islice(mixed, count)

    def _imports(self, draw: random.Random) -> list[Iterator[Hostile]]:
        script = checkpoints.script(self.folder / "script.pt")
        files = checkpoints.bases() | {"script.pt": script}
        byte_tokenizer_file(self.folder)
        kinds = [checkpoints.damaged(draw, files, 60), checkpoints.acting(), checkpoints.endless(), checkpoints.large()]
        kinds += [checkpoints.safetensors(), checkpoints.other_weights()]
        return [self._imported(kind) for kind in kinds]

    def _imported(self, files: Iterator[tuple[str, str, bytes]]) -> Iterator[Hostile]:
        for name, file, content in files:
            yield Hostile(f"import: {name}", partial(self._import, file, content), (*IMPORT, file))

    def _import(self, name: str, content: bytes, inside: Path) -> None:
        shutil.copy(self.folder / "tokenizer.json", inside)
        (inside / name).write_bytes(content)

    def _archives(self, draw: random.Random) -> list[Iterator[Hostile]]:
        files = archives.members(self.folder / "benchmark")
        kinds = (archives.leading_outside(files, self.folder), archives.of_other_kinds(files), archives.bombs(files))
        return [_unpacked(kind) for kind in (*kinds, archives.damaged(draw, files, 40))]

    def _models(self, draw: random.Random, count: int) -> Iterator[Hostile]:
        names = sorted(path.relative_to(self.model).as_posix() for path in self.model.rglob("*") if path.is_file())
        for number in range(count // 3):
            name = names[number % len(names)]
            content = (self.model / name).read_bytes()
            if name.endswith(".json") and draw.random() < 0.8:
                text = json.dumps(spoiled(draw, json.loads(content)))
                content, how = text.encode(), "spoiled"
            elif draw.random() < 0.1:
                content, how = b"", "missing"
            else:
                damage = draw.choice(DAMAGES)
                content, how = bytes(damage(draw, bytearray(content))), damage.__name__
            yield Hostile(f"model: {how} {name} {number}", partial(self._model, name, content, how), MODEL)

    def _model(self, name: str, content: bytes, how: str, inside: Path) -> None:
        shutil.copytree(self.model, inside / "model")
        photographs(inside / "photos", 1)
        (inside / "model" / name).unlink()
        if how != "missing":
            (inside / "model" / name).write_bytes(content)


def _put(name: str, content: bytes, inside: Path) -> None:
    path = inside / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _unpacked(files: Iterator[tuple[str, str, bytes]]) -> Iterator[Hostile]:
    for name, file, content in files:
        yield Hostile(f"archive: {name}", partial(_put, file, content), PREPARE)


def _configs(draw: random.Random, count: int) -> Iterator[Hostile]:
    """Yaml for `train`, `ablate` and `import`; what is valid after all ends at a folder that does not exist."""
    plain: dict[str, Any] = {
        "method": {
            "name": "cat_seg",
            "backbone": {"source": "tiny", "resolution": 96},
            "cost": {"dim": 32, "layers": 1},
        },
        "data": {"name": "folder", "root": "missing", "split": "train"},
        "training": {"steps": 1, "batch_size": 1, "workers": 0, "optimizer": {"lr": 0.001}},
    }
    original = {"MODEL": {"SEM_SEG_HEAD": {"NUM_LAYERS": 2, "POOLING_SIZES": [3, 3]}}, "INPUT": {"FORMAT": "RGB"}}
    texts = [f"method: {tag}" for tag in TAGS] + [_aliases(9, 9), _aliases(30, 2), "a: &a [*a]", "a: &a {b: *a}"]
    texts += ["a: " + "[" * 5000, "{" * 5000, "- " * 3000 + "x", "? " * 500 + "x", "a: !<tag:yaml.org,2002:int> x"]
    texts += ["\ufeffmethod: {}", "a: \x00", "a: \x1b[2J", "--- a\n--- b", "<<: {a: 1}\n<<: *x", "a: " + "9" * 5000]
    texts += ["a: 1\n" * 100_000, "x" * 2_000_000, "method: {name: " + "é" * 300_000 + "}"]
    readers: list[tuple[str, ...]] = [("train", "a.yaml", "-o", "out"), ("ablate", "--suite", "a.yaml", "-o", "out")]
    readers.append(("import", "a.yaml", "-o", "out.yaml"))
    for number, text in enumerate(texts):
        words = readers[number % 3]
        yield Hostile(f"{words[0]}: text {text[:40]!r}", partial(_put, "a.yaml", text.encode()), words)
    for number in range(count // 5):
        words = readers[2 * (number % 2)]
        text = json.dumps(spoiled(draw, original if number % 2 else plain), ensure_ascii=False)  # JSON is yaml
        yield Hostile(f"{words[0]}: spoiled yaml {number}", partial(_put, "a.yaml", text.encode()), words)


def _aliases(depth: int, width: int) -> str:
    """Yaml of a few lines that stands for `width ** depth` values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"method: *a{depth - 1}"])


def _documents(draw: random.Random, count: int) -> Iterator[Hostile]:
    """JSON for `score`: predictions, tables of categories and of parents."""
    mask = np.zeros((6, 8), bool)
    mask[:3] = True
    entries = [
        {"file_name": "a.png", "category_id": 0, "segmentation": encode_rle(mask)},
        {"file_name": "a.png", "category_id": 1, "segmentation": {"size": [6, 8], "counts": [3, 3] * 8}},
    ]
    tables = {"predictions.json": entries, "categories.json": {"0": 0, "1": 1}, "parents.json": {"sky": ["sand"]}}
    sizes = ([200000, 100000], [2**40, 1], [-1, -1], [True, 1], [1e30, 1], ["6", 8], [6], [10**30, 1], [0, 0])
    counts: tuple[Any, ...] = ([True] * 48, [10**30], [-1, 49], "\xff" * 20, "o" * 10**6, nested(900), {"a": 1}, None)
    codes = [{"size": size, "counts": [size[0]]} for size in sizes]
    codes += [{"size": [6, 8], "counts": each} for each in counts]
    made = [("predictions.json", [{**entries[0], "segmentation": code}]) for code in codes]
    for number in range(count // 5):
        name = list(tables)[number % 3]
        made.append((name, spoiled(draw, tables[name])))
    texts = [(name, json.dumps(document)) for name, document in made]
    texts += [(name, text) for name in tables for text in ("[" * 100_000, "", "nul", '{"a": ' * 5000, "\ufeff{}")]
    for number, (name, text) in enumerate(texts):
        yield Hostile(f"score: {name} {number}", partial(_scored, tables, name, text), _score(name))


def _score(name: str) -> tuple[str, ...]:
    option = name.partition(".")[0]
    more = () if option == "predictions" else (f"--{option}", name)
    return ("score", "predictions.json", "--data", "labelled", "-o", "out.json", *more)


def _scored(tables: dict[str, Any], name: str, text: str, inside: Path) -> None:
    for each, document in tables.items():
        (inside / each).write_text(json.dumps(document), encoding="utf-8")
    (inside / name).write_text(text, encoding="utf-8")
    for kind, pixels in (("images", np.zeros((6, 8, 3), np.uint8)), ("annotations", np.zeros((6, 8), np.uint8))):
        (inside / "labelled" / kind).mkdir(parents=True)
        Image.fromarray(pixels).save(inside / "labelled" / kind / "a.png")
    (inside / "labelled" / "classes.txt").write_text("sky\nsand\n", encoding="utf-8")
