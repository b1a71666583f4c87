"""What people type after `ahs-seg segment`, and what it answers."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ahs_seg.batch.journal import BatchJournal
from ahs_seg.cli import main
from ahs_seg.cli.output import set_verbosity
from tests.support.command_line import done, fails, run
from tests.support.drawn_images import drawn, save
from tests.support.pages import pages

NAMES = "sky, grass"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in range(3):
        save(tmp_path / "photos" / f"{index}.png", drawn(48, 64, index))
    return tmp_path / "photos"


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anything that looks for a model."""

    def looking(*_: object) -> None:
        raise AssertionError("a model was looked for")

    monkeypatch.setattr("ahs_seg.segmenter.open_model", looking)


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    yield
    set_verbosity(verbose=False, quiet=False)


def classes_of(folder: Path, name: str) -> list[str]:
    return list(json.loads((folder / f"{name}.classes.json").read_text(encoding="utf-8"))["classes"])


def test_lists_add_up_and_background_is_a_class(model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("names: {0: red star, 1: sand}")
    out = tmp_path / "out"
    words = (
        "-c",
        "sky；grass",
        "--classes",
        tmp_path / "more.yaml",
        "--background",
        "wall，floor",
        "-m",
        model,
        "-o",
        out,
    )
    text = run("segment", photos / "0.png", *words, "--format", "PNG,npz", "--top-k", 2)
    assert "1 of 1 images" in text
    assert classes_of(out, "0") == ["sky", "grass", "red star", "sand", "background"]
    with np.load(out / "0.npz") as stored:
        assert stored["top_labels"].shape == (2, 48, 64)
        assert np.array_equal(stored["top_labels"][0], stored["labels"])
        assert (stored["top_scores"][0] >= stored["top_scores"][1]).all()


def test_addresses_and_standard_input(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((photos / "0.png").read_bytes())))
    with pages(photos) as site:
        words = [
            "segment",
            "-",
            f"{site}/1.png",
            f"{site}/gone.png",
            str(photos / "2.png"),
            "-c",
            NAMES,
            "-m",
            str(model),
        ]
        monkeypatch.setattr("sys.argv", ["ahs-seg", *words, "-o", str(out), "--format", "png", "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["done"], summary["failed"]) == (3, 1)
    assert summary["failures"][0]["path"] == f"{site}/gone.png"
    assert "404" in summary["failures"][0]["reason"]
    assert sorted(path.name for path in out.glob("*[!n].png")) == ["1.png", "2.png"]
    assert (out / "stdin.png").is_file()


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--format", "jpg"],
            "formats are png, overlay, coco, yolo, npz, geotiff, labelstudio, cvat, video; did you mean overlay?",
        ),
        (["--format", "npz", "--format", "cocoo"], "'cocoo' is not known; .*did you mean coco?"),
        (["--format", "holograms"], "labelstudio, cvat, video."),
        (["--top-k", "2"], "--top-k is written to npz files"),
        (["--background", "wall,,floor"], "background 'wall,,floor' has a blank name"),
        (["-c", "background", "--background", "wall"], "to classes without a background"),
        (["-c", "ade20k"], "did you mean ade20k-150 or ade20k-847?"),
        (["-c", "words.csv"], "words.csv: not a readable list of classes: there is no such file"),
        (["-v", "-q"], "--verbose and --quiet exclude each other"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    words: list[str], message: str, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["segment", str(photos), "-m", "m", *([] if "-c" in words else ["-c", NAMES]), *words]
    found = fails(capsys, monkeypatch, *given)
    for part in message.split(".*"):
        assert part in found
    assert len(found.strip().splitlines()) == 1


def test_a_single_class_and_twins_are_warned_of(model: Path, photos: Path, tmp_path: Path) -> None:
    words = ("segment", photos / "0.png", "-m", model, "-o", tmp_path / "out", "--format", "png")
    warned = done(*words, "-c", "caf\u00e9\ncafe\u0301").stderr.splitlines()
    assert [line for line in warned if line.startswith("warning: ")] == warned[:2]
    assert "they are merged" in warned[0]
    assert "every pixel will be 'caf\u00e9'" in warned[1]
    assert classes_of(tmp_path / "out", "0") == ["caf\u00e9"]
    assert done(*words, "-c", "caf\u00e9\ncafe\u0301", "-q").stderr == ""


def test_verbose_shows_why_a_file_failed(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_text("no image")
    words = ("segment", photos / "bad.jpg", "-c", NAMES, "-m", model, "-o", tmp_path / "out", "--format", "png")
    loud = done("-v", *words, status=1).stderr
    assert "debug: " in loud
    assert "Traceback" in loud
    assert "Traceback" not in done(*words, status=1).stderr


def test_an_interrupt_says_what_is_done(
    model: Path,
    photos: Path,
    tmp_path: Path,
    ctrl_c: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, written = BatchJournal.write, []

    def write(self: BatchJournal, outcome: object) -> None:
        real(self, outcome)  # type: ignore[arg-type]  # an outcome that is done
        written.append(outcome)
        if len(written) == 2:
            ctrl_c()

    out = tmp_path / "out"
    words = ["ahs-seg", "segment", str(photos), "-c", NAMES, "-m", str(model), "-o", str(out), "--format", "png"]
    monkeypatch.setattr("sys.argv", words)
    with monkeypatch.context() as patch:
        patch.setattr(BatchJournal, "write", write)
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 130
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("interrupted with ")
    assert f"of 3 images done; their results are in {out}" in message
    assert "--resume" in message
    assert sys.argv == words
    assert "already done" in done(*words[1:], "--resume").output
