"""`ahs_seg.train`: any method on any dataset object, with every loss of its own."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

import ahs_seg
from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.checkpoints import load_model
from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config
from ahs_seg.data.check import DataCheckError
from ahs_seg.data.config import WorldData
from ahs_seg.experiments import train
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.experiments.train import TrainingConfig, checked, describe, train_on
from ahs_seg.methods import Method, MethodConfig, ZeroShotConfig
from ahs_seg.output.familiarity import TrainingImages
from ahs_seg.training.callbacks import CallbackError, TrainingCallback, TrainingProgress
from ahs_seg.training.recipe import TrainingSetupError
from ahs_seg.training.run import MODEL, load_weights
from tests.support.label_folders import discs, label_folder

NOT_VARIED = ahs_seg.Augmentation(resize=None, crop=None, colour=None)
OWN_LOSSES = {
    "cat_seg": {"segmentation"},
    "h_clip": {"segmentation"},
    "ahs_seg": {"segmentation", "energy", "hierarchy", "contrastive", "boundary"},
    "ahs_seg_lite": {"segmentation", "prototypes", "distillation", "consistency"},
    "hps_seg": {"segmentation", "gates", "prototype_contrast", "prototype_distance"},
    "scan": {"mask", "dice", "label"},
    "ebseg": {"mask", "dice", "recognised", "supervised", "structure"},
}
"""The losses of each method, by the name in its log; the mask family adds those of each decoder layer."""


class Squares:
    """A dataset as a user writes one: no base class, no files."""

    def __init__(self, count: int = 4) -> None:
        self.vocabulary = ahs_seg.Vocabulary.parse("red circle, blue star, grass")
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> ahs_seg.Sample:
        labels = np.full((96, 96), 2, dtype=np.int32)
        labels[8:40, 8 + index : 40 + index], labels[50:90, 50:90] = 0, 1
        labels[:4] = ahs_seg.IGNORE
        image = np.random.default_rng(index).integers(0, 80, (96, 96, 3), dtype=np.uint8)
        image[..., 0][labels == 0] += 150
        return ahs_seg.Sample(image, labels, f"squares {index}")


def small(name: str) -> MethodConfig:
    return ahs_seg.Experiment.read(find_config(f"quickstart/{name}")).method


def recipe(**changes: object) -> ahs_seg.Recipe:
    values = {"steps": 2, "batch_size": 2, "workers": 0, "log_every": 1, "accelerator": "cpu", "checkpoint_every": 0}
    return ahs_seg.Recipe.model_validate(values | changes)


def losses(directory: Path) -> set[str]:
    rows = list(csv.DictReader((directory / "train.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2
    return {name.removeprefix("loss_") for name in rows[0] if name.startswith("loss_")}


@pytest.mark.parametrize("name", OWN_LOSSES)
def test_a_method_trains_with_every_loss_of_its_own(name: str, tmp_path: Path) -> None:
    result = ahs_seg.train(small(name), Squares(), tmp_path, recipe=recipe(), augmentation=NOT_VARIED, progress=False)
    assert {loss for loss in losses(tmp_path) if not loss[-1].isdigit()} == OWN_LOSSES[name]
    assert (result.model, result.evaluation) == (tmp_path / MODEL, None)
    segmenter = ahs_seg.Segmenter.from_pretrained(result.model)
    assert segmenter(Squares()[0].image, "red circle, grass").labels.shape == (96, 96)


def test_data_that_cannot_teach_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    dataset = label_folder(tmp_path / "data", [discs([0, 255])], "ground, cat")
    with pytest.raises(DataCheckError, match=r"data: label maps hold only 0 and 255 .* Save 'cat' as 1"):
        ahs_seg.train(small("cat_seg"), dataset, tmp_path / "run", recipe=recipe(), progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["training", "validation"])
def test_a_name_that_is_too_long_is_told_before_anything_is_written(place: str, tmp_path: Path) -> None:
    data, run = {"training": Squares(), "validation": Squares()}, tmp_path / "run"
    data[place].vocabulary = ahs_seg.Vocabulary.parse(["red circle", "blue star", "very " * 80 + "green grass"])
    rows = recipe(names_per_step=2)  # of three: the long name might be drawn after days
    with pytest.raises(TextTooLongError, match=r"class 'very very .* tokens"):
        ahs_seg.train(small("cat_seg"), data["training"], run, validation=data["validation"], recipe=rows)
    assert not run.exists()


def test_what_a_method_cannot_do_is_told_before_anything_is_written(tmp_path: Path) -> None:
    for config, recomputing, told in (
        (small("scan"), True, "ScanSegmenter does not support activation checkpointing"),
        (ZeroShotConfig(backbone=ClipConfig(source=TINY)), False, "a training-free method is evaluated, not trained"),
    ):
        with pytest.raises(TrainingSetupError, match=told):
            ahs_seg.train(config, Squares(), tmp_path / "run", recipe=recipe(checkpointing=recomputing))
        assert not (tmp_path / "run").exists()


def test_what_the_data_lacks_is_warned_of_when_training_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = label_folder(tmp_path / "data", [discs([0, 1], side=96)], "ground, cat, dog")
    ahs_seg.train(small("cat_seg"), dataset, tmp_path / "run", recipe=recipe(), augmentation=NOT_VARIED, progress=False)
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "ahs_seg.experiments.train"]
    assert warning.startswith("data: 1 of 3 classes has no pixel: dog (1 label map read)")


def test_validation_gives_a_report_and_the_directory_tells_the_run(tmp_path: Path) -> None:
    result = ahs_seg.train(
        small("cat_seg"),
        Squares(),
        str(tmp_path),
        validation=Squares(2),
        recipe=recipe(),
        augmentation=NOT_VARIED,
        inference=ahs_seg.InferenceConfig(shortest_edge=80),
        progress=False,
    )
    assert result.evaluation is not None
    assert result.evaluation.images == 2
    assert result.evaluation.seen == ("blue star", "grass", "red circle")
    assert ahs_seg.EvaluationReport.load(tmp_path / "evaluation.json").scores == result.evaluation.scores
    assert ahs_seg.read_description(result.model).inference.shortest_edge == 80
    assert "Training of cat_seg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "name: cat_seg" in (tmp_path / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("keep_best", [0, 1])
def test_the_model_is_the_best_checkpoint_only_if_it_is_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_best: int
) -> None:
    scores = iter([0.9, 0.1])
    monkeypatch.setattr(train, "_scorer", lambda *_: lambda _: {"miou": next(scores)})
    settings = recipe(evaluate_every=1, checkpoint_every=1, keep_best=keep_best)
    result = ahs_seg.train(
        small("cat_seg"),
        Squares(),
        tmp_path,
        validation=Squares(1),
        recipe=settings,
        augmentation=NOT_VARIED,
        progress=False,
    )
    _, model = load_model(result.model)
    trained = small("cat_seg").for_classes(3).build()
    load_weights(trained, tmp_path / "checkpoints" / f"step-{1 if keep_best else 2:08d}")
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in trained.state_dict().items())


def test_the_last_evaluation_runs_on_the_device_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[object] = []
    move = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        moved.extend(args if isinstance(module, Method) else ())
        return move(module, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "to", to)
    ahs_seg.train(small("cat_seg"), Squares(), tmp_path, recipe=recipe(), augmentation=NOT_VARIED, progress=False)
    assert "cpu" not in moved


def test_a_score_of_fewer_images_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Lacking(Squares):
        def __getitem__(self, index: int) -> ahs_seg.Sample:
            if index == 1:
                raise MemoryError
            return super().__getitem__(index)

    scores = train._scorer(TrainingConfig(), Lacking(2), describe(TrainingConfig(), Squares()))
    assert "miou" in scores(small("cat_seg").for_classes(3).build())
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "ahs_seg.experiments.train"]
    assert warning.startswith("validation: 1 of 2 images could not be evaluated, the first: image 1: not enough memory")


def test_no_process_waits_for_the_last_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take longer than the 30 minutes after which processes that wait for one another give up."""
    events: list[str] = []
    evaluate = ahs_seg.evaluate

    def evaluated(*given: Any, **named: Any) -> ahs_seg.EvaluationReport:
        events.append("evaluation")
        return evaluate(*given, **named)

    def wait(_: Fabric) -> None:
        events.append(f"barrier, {'with' if (tmp_path / MODEL).exists() else 'without'} a model")

    monkeypatch.setattr(train, "evaluate", evaluated)
    monkeypatch.setattr(Fabric, "barrier", wait)
    ahs_seg.train(
        small("cat_seg"),
        Squares(),
        tmp_path,
        validation=Squares(1),
        recipe=recipe(evaluate_every=0),
        augmentation=NOT_VARIED,
        progress=False,
    )
    assert events[-2:] == ["barrier, with a model", "evaluation"]


def test_resuming_continues_and_is_asked_for(tmp_path: Path) -> None:
    first = recipe(checkpoint_every=1)
    ahs_seg.train(small("cat_seg"), Squares(), tmp_path, recipe=first, augmentation=NOT_VARIED, progress=False)
    with pytest.raises(ConfigError, match=r"Resume that run .*, or choose another directory"):
        ahs_seg.train(small("cat_seg"), Squares(), tmp_path, recipe=first, augmentation=NOT_VARIED)
    result = ahs_seg.train(
        small("cat_seg"), Squares(), tmp_path, recipe=first, augmentation=NOT_VARIED, resume=True, progress=False
    )
    assert result.training.steps == 2


def test_a_finished_run_without_checkpoints_is_not_replaced(tmp_path: Path) -> None:
    def again(*, resume: bool = False, **changes: object) -> None:
        ahs_seg.train(
            small("cat_seg"),
            Squares(),
            tmp_path,
            recipe=recipe(steps=1, **changes),
            augmentation=NOT_VARIED,
            resume=resume,
            progress=False,
        )

    again()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"already holds config.yaml and model of a run\. Resume that run"):
        again(seed=5)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    again(resume=True)


def test_a_run_that_was_interrupted_has_its_config(tmp_path: Path) -> None:
    class Ends(TrainingCallback):
        def on_step(self, progress: TrainingProgress) -> None:
            raise ZeroDivisionError

    def begin(augmentation: ahs_seg.Augmentation, *, resume: bool) -> None:
        run = TrainingConfig(method=small("cat_seg"), augmentation=augmentation, training=recipe())
        train_on(run, Squares(), None, tmp_path, resume=resume, progress=False, callbacks=[Ends()])

    with pytest.raises(CallbackError):
        begin(NOT_VARIED, resume=False)
    assert TrainingConfig.read(tmp_path / "config.yaml").augmentation == NOT_VARIED
    with pytest.raises(ConfigError, match=r"Resume with those of that run \(its config\.yaml\)"):
        begin(NOT_VARIED.replace(flip=0.1), resume=True)
    assert TrainingConfig.read(tmp_path / "config.yaml").augmentation == NOT_VARIED


class Names(Squares):
    def __init__(self) -> None:
        super().__init__()
        self.vocabulary = ["red circle", "blue star", "grass"]  # type: ignore[assignment]  # the fault to be told


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([1, 2, 3], "list is not a dataset; it needs `vocabulary`"),
        (Names(), r"Names.vocabulary is a list, not a Vocabulary; make one .* with Vocabulary.parse"),
        (Squares(0), "Squares is empty; give a dataset of at least one sample"),
    ],
)
def test_what_is_no_dataset_is_told(dataset: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        checked(dataset)


def test_the_dataset_is_looked_at_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Squares is empty"):
        ahs_seg.train(small("cat_seg"), Squares(0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_says_what_it_was_trained_on() -> None:
    run = Experiment(data=WorldData(count=3, names=20))
    training = describe(run, run.data.open()).training
    assert training == TrainingImages(kind="drawn scenes", data="world-20 (train, 3 scenes)")
    assert describe(TrainingConfig(), Squares()).training == TrainingImages(data="Squares")
