"""Model directories come back whole, or say what is wrong with them."""

import json
import re
from pathlib import Path

import pytest
import torch

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, read_description, save_model
from ahs_seg.checkpoints.card import write_card
from ahs_seg.checkpoints.exporting.manifest import FORMATS
from ahs_seg.checkpoints.model_dir import CARD, model_digest, write_description
from ahs_seg.checkpoints.remote_code import write_remote_code
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.io.weight_files import stored_tensors
from ahs_seg.methods import CostSegmenter, ZeroShotConfig, ZeroShotSegmenter
from ahs_seg.output.calibration import IDENTITY_CALIBRATION
from ahs_seg.output.familiarity import TrainingImages
from tests.support.builders import random_backbone
from tests.support.clip_directories import change_json
from tests.support.memory import cost_of
from tests.support.small_methods import CAT_SEG, H_CLIP


@pytest.fixture(params=[CAT_SEG, H_CLIP], ids=["cat_seg", "h_clip"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, CostSegmenter]:
    method = request.param.compose(random_backbone()).eval()
    description = ModelDescription(method=request.param, trained_on=("cat", "dog"))
    return save_model(method, description, tmp_path / "model"), method


def test_a_training_free_model_of_an_earlier_version_stays_what_it_was(tmp_path: Path) -> None:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY), temperature=0.01)
    directory = save_model(config.build(), ModelDescription(method=config), tmp_path / "model")
    assert load_model(directory)[1].backbone.dense_form == "value"
    settings = json.loads((directory / "config.json").read_text())
    del settings["method"]["softmax"], settings["method"]["backbone"]["dense"]
    (directory / "config.json").write_text(json.dumps(settings))
    method = load_model(directory)[1]
    assert isinstance(method, ZeroShotSegmenter)
    assert (method.backbone.dense_form, method.softmax, method.temperature) == ("cat_seg", "views", 0.01)


@torch.no_grad()
def test_a_saved_model_computes_the_same(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    description, loaded = load_model(directory)
    assert description.trained_on == ("cat", "dog")
    images = torch.rand(1, 3, 64, 64)
    tokens = method.backbone.tokenizer(["cat", "bird"])
    text = [model.backbone.encode_text(model.backbone.tokenizer(["cat", "bird"])) for model in (method, loaded)]
    torch.testing.assert_close(text[0], text[1], rtol=0, atol=0)
    assert loaded.backbone.tokenizer(["cat", "bird"]).ids.tolist() == tokens.ids.tolist()
    outputs = [model(images, words[:, None]).logits for model, words in zip((method, loaded), text, strict=True)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)


def test_a_directory_may_be_a_text(saved: tuple[Path, CostSegmenter]) -> None:
    assert read_description(str(saved[0])) == read_description(saved[0])


def test_what_trains_is_restored_too(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    _, loaded = load_model(directory)
    trained = [{name for name, p in model.named_parameters() if p.requires_grad} for model in (method, loaded)]
    assert trained[0] == trained[1]


def test_saving_again_replaces_and_leaves_nothing_behind(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    save_model(method, ModelDescription(method=CAT_SEG), directory)
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


def test_a_failure_while_saving_keeps_the_old_model(
    saved: tuple[Path, CostSegmenter], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, method = saved
    before = (directory / "model.safetensors").read_bytes()
    monkeypatch.setattr(method.backbone, "tokenizer", None)
    with pytest.raises(AttributeError):
        save_model(method, ModelDescription(), directory)
    assert (directory / "model.safetensors").read_bytes() == before
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


def test_damage_is_named(saved: tuple[Path, CostSegmenter]) -> None:
    directory, _ = saved
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_model(directory)
    weights.write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(directory)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        load_model(directory)


def test_weights_of_another_method_are_refused_by_name(tmp_path: Path) -> None:
    one = save_model(H_CLIP.compose(random_backbone()), ModelDescription(method=H_CLIP), tmp_path / "h_clip")
    other = save_model(CAT_SEG.compose(random_backbone()), ModelDescription(method=CAT_SEG), tmp_path / "cat_seg")
    (one / "model.safetensors").replace(other / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"does not belong to the cat_seg.*3 unexpected.*adapter\.bank"):
        load_model(other)


def test_what_is_not_a_model_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a model directory: it has no config\.json"):
        load_model(tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"method": {"name": "cat_seg", "colour": 3}}))
    with pytest.raises(CheckpointError, match=r"method\.cat_seg\.colour: unknown key"):
        load_model(tmp_path)


def test_a_digest_is_of_everything_that_labels_depend_on(saved: tuple[Path, CostSegmenter]) -> None:
    model, _ = saved
    before = model_digest(model)
    write_description(read_description(model).replace(calibration=IDENTITY_CALIBRATION), model)
    assert model_digest(model) == before
    change_json(model / "config.json", inference__batch=7, inference__memory_mb=3)
    assert model_digest(model) == before
    change_json(model / "backbone" / "preprocessor_config.json", image_mean=[0.1, 0.1, 0.1])
    other = model_digest(model)
    change_json(model / "config.json", prompts__templates="vild")
    assert len({before, other, model_digest(model)}) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 10**30}, r"format: Unable to parse .*exceeded maximum size"),
        ({"format": 2}, r"format: Input should be 1"),
        ({"method__cost__layers": 10**6}, r"method\.\w+\.cost\.layers: .*less than or equal to 1000"),
        ({"method__cost__dim": 10**9}, r"cost\.dim: .*less than or equal to 65536"),
        ({"method__cost__dim": -1}, r"cost\.dim: .*greater than or equal to 1"),
        pytest.param({"method__cost__layers": 1000}, "does not belong to the", marks=pytest.mark.slow),
        ({"method__cost__dim": 65_536}, "does not belong to the"),
        ({"method__backbone__resolution": 0}, "resolution"),
        ({"method__backbone__resolution": 10**9}, "resolution"),
        ({"method__backbone__resolution": 13}, "not a multiple of the patch size"),
        ({"inference__shortest_edge": -5}, "shortest_edge"),
        ({"inference__memory_mb": float("nan")}, "memory_mb"),
    ],
)
def test_what_a_config_claims_is_compared_before_it_is_built(
    saved: tuple[Path, CostSegmenter], values: dict[str, object], message: str
) -> None:
    directory, _ = saved
    change_json(directory / "config.json", **values)
    cost = cost_of(lambda: load_model(directory))
    assert cost.error.startswith("CheckpointError")
    assert re.search(message, cost.error), cost.error
    assert cost.mib < 200


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(
    saved: tuple[Path, CostSegmenter], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, method = saved
    description = read_description(directory)
    replaced: list[Path] = []

    def replace_first(path: Path) -> object:
        if not replaced:
            replaced.append(path)
            with torch.no_grad():
                next(method.parameters()).add_(1)
            save_model(method, description, directory)
        return stored_tensors(path)

    monkeypatch.setattr("ahs_seg.checkpoints.model_dir.stored_tensors", replace_first)
    _, loaded = load_model(directory)
    assert torch.equal(next(loaded.parameters()), next(method.parameters()))


def test_directories_from_before_images_were_recorded_still_load(saved: tuple[Path, CostSegmenter]) -> None:
    config = json.loads((saved[0] / "config.json").read_text())
    del config["training"]
    (saved[0] / "config.json").write_text(json.dumps(config))
    description = read_description(saved[0])
    assert description.training is None
    assert description.origin is None
    method = description.method.replace(backbone=description.method.backbone.replace(source=TINY))
    assert description.replace(method=method).origin == TrainingImages(kind="drawn scenes")


def test_what_was_measured_with_other_prompts_is_left_out() -> None:
    training = TrainingImages(kind="photographs", certainty=0.5)
    told = ModelDescription(calibration=IDENTITY_CALIBRATION, training=training).uncalibrated()
    assert told.calibration is None
    assert told.training == TrainingImages(kind="photographs")


def test_a_model_replaces_models_alone(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    description = read_description(directory)
    write_card(directory)
    write_remote_code(directory / "config.json")
    for kind in FORMATS:
        (directory / kind).mkdir()
    save_model(method, description, directory)
    assert not (directory / CARD).exists()
    for name, content in ((CARD, "# My own words"), ("notes.txt", "years of work"), (".git", "gitdir: x")):
        (directory / name).write_text(content)
        with pytest.raises(OverwriteError, match=f"holds {re.escape(name)} besides a model"):
            save_model(method, description, directory)
        assert (directory / name).read_text() == content
        (directory / name).unlink()
    change_json(directory / "config.json", model_type="llava")
    with pytest.raises(OverwriteError, match="holds other files"):
        save_model(method, description, directory)


def test_a_model_takes_no_place_of_a_file(saved: tuple[Path, CostSegmenter], tmp_path: Path) -> None:
    directory, method = saved
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(OverwriteError, match="thesis: is a file"):
        save_model(method, read_description(directory), tmp_path / "thesis")
    assert (tmp_path / "thesis").read_text() == "years of work"
