"""`ahs-seg import`: checkpoints, known names, configs."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.cli import import_
from ahs_seg.cli.options import OptionError
from ahs_seg.io.overwrite import OverwriteError
from tests.support.hub_server import Hub
from tests.support.official import byte_tokenizer_file, open_clip, save_original, tiny_state

app = typer.Typer()
app.command()(import_.command)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    byte_tokenizer_file(tmp_path)
    save_original(tiny_state(), tmp_path / "model.pth")
    (tmp_path / "mine.yaml").write_text(
        "MODEL: {SEM_SEG_HEAD: {NUM_LAYERS: 2, POOLING_SIZES: [3, 3]}}\nINPUT: {FORMAT: RGB}\n"
        "SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR}\n"
    )
    return tmp_path


def test_a_checkpoint_with_its_config(files: Path) -> None:
    arguments = ("--tokenizer", files, "--config", files / "mine.yaml", "--set", "TEST.SLIDING_WINDOW=True")
    text = run(files / "model.pth", "-o", files / "out", *arguments, "--trained-on", "cat, dog")
    assert "MODEL.SEM_SEG_HEAD.POOLING_SIZES -> method.cost.class_pooling = 3" in text
    assert "model.pth: cat_seg on a CLIP 256 wide" in text
    assert "keys, which give every weight of the model" in text
    description, method = load_model(files / "out")
    assert method.head.class_pooling == 3
    assert description.trained_on == ("cat", "dog")
    assert description.inference.windows.name == "sliding"


def test_every_key(files: Path) -> None:
    text = run(files / "model.pth", "--as", "cat_seg", "-o", files / "out", "--tokenizer", files, "--keys")
    assert "upsample1.bias -> pyramid.upsample_fine.bias" in text
    assert "optimizer -> ignored: state of the optimizer" in text


def test_a_config_alone(files: Path) -> None:
    run(files / "mine.yaml", "-o", files / "ours.yaml")
    assert "class_pooling: 3" in (files / "ours.yaml").read_text()


def test_a_known_name(files: Path, hub: Hub) -> None:
    hub.repositories["spaces/hamacojr/CAT-Seg-weights"] = {"model_base.pth": (files / "model.pth").read_bytes()}
    run("cat-seg-vitb", "-o", files / "out")
    description, _ = load_model(files / "out")
    assert len(description.trained_on) == 171


def test_an_import_replaces_neither_its_inputs_nor_other_files(files: Path) -> None:
    before = {path: path.read_bytes() for path in files.iterdir()}
    (files / "thesis").mkdir()
    (files / "thesis" / "thesis.tex").write_text("years of work")
    for output, message in (
        (files, "holds the input .*model.pth"),
        (files / "thesis" / "..", "holds the input .*model.pth"),
        (files / "thesis", "holds other files, and a model is written as a whole directory"),
    ):
        with pytest.raises(OverwriteError, match=message):
            run(files / "model.pth", "-o", output, "--tokenizer", files)
    with pytest.raises(OverwriteError, match=r"mine\.yaml: is the input"):
        run(files / "mine.yaml", "-o", files / "thesis" / ".." / "mine.yaml")
    (files / "base.yaml").write_text("_BASE_: mine.yaml\n")
    with pytest.raises(OverwriteError, match=r"mine\.yaml: is the input"):
        run(files / "base.yaml", "-o", files / "mine.yaml")
    (files / "base.yaml").unlink()
    assert (files / "thesis" / "thesis.tex").read_text() == "years of work"
    assert {path: path.read_bytes() for path in before} == before


def test_heads_and_activation_that_the_file_does_not_hold(files: Path) -> None:
    save_original(open_clip(tiny_state()), files / "clip.pth")
    arguments = (files / "clip.pth", "--as", "clip", "-o", files / "out", "--tokenizer", files)
    with pytest.raises(CheckpointError, match=r"Give `--heads N`, `--text-heads N`, `--activation gelu` or"):
        run(*arguments)
    text = run(*arguments, "--heads", 4, "--text-heads", 2, "--activation", "gelu")
    assert "CLIP: 4 heads in the image tower, 2 in the text tower, activation gelu" in text


def test_names_of_training_classes_may_be_many(files: Path) -> None:
    names = ", ".join(f"class {number}" for number in range(60))
    run(files / "model.pth", "-o", files / "out", "--tokenizer", files, "--trained-on", names)
    assert len(load_model(files / "out")[0].trained_on) == 60


def test_options_without_effect_are_refused(files: Path) -> None:
    for source, options, message in (
        ("clip:tiny", ("--trained-on", "nowhere.txt", "--heads", 3, "--keys"), "--trained-on, --heads, --keys: for a"),
        ("clip:tiny", ("--tokenizer", "nothing", "--set", "X.Y=1"), "--tokenizer, --set: for a checkpoint, and clip:t"),
        (files / "mine.yaml", ("--as", "cat_seg", "--trained-on", "cat"), "--as, --trained-on: for a checkpoint, and"),
        (files / "mine.yaml", ("--config", files / "mine.yaml"), "--config: for a checkpoint, and this is a config"),
        (files / "model.pth", ("--set", "X.Y=1"), "--set: overrides the original config; give it with --config"),
    ):
        with pytest.raises(OptionError, match=message):
            run(source, "-o", files / "out", *options)
    with pytest.raises(CheckpointError, match="imported as a CLIP alone, which keeps neither config nor training cl"):
        run(files / "model.pth", "--as", "clip", "-o", files / "out", "--tokenizer", files, "--trained-on", "cat, dog")
    assert not (files / "out").exists()
