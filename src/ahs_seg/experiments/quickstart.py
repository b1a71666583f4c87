"""Quickstart: train a method on drawn scenes, evaluate it on classes not seen in training, write an HTML report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, load_model, read_description, save_model
from ahs_seg.checkpoints.model_dir import write_description
from ahs_seg.checkpoints.training_free import open_training_free
from ahs_seg.config import ConfigError, config_name
from ahs_seg.configs import find_config, find_crop_clip
from ahs_seg.data.config import WorldData, WorldNames
from ahs_seg.data.world.captions import phrase
from ahs_seg.data.world.names import things
from ahs_seg.evaluation import EvaluationReport, evaluate
from ahs_seg.experiments.experiment import Experiment, run_experiment
from ahs_seg.experiments.report import Figure, LossCurve, Report, write_report
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import METHODS, ScanConfig, ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.training.crop_clip import CropClipExperiment, finetune_crop_clip
from ahs_seg.training.run import MODEL
from ahs_seg.types import IGNORE

FREE = ZeroShotConfig(backbone=ClipConfig(source=TINY))
"""The best training-free form on validation scenes (`docs/methods/zero_shot.md`)."""
BASELINES: dict[str, ZeroShotConfig] = {
    "zero_shot": FREE,
    "zero_shot, CAT-Seg's form": ZeroShotConfig(
        backbone=ClipConfig(source=TINY, dense="cat_seg"), temperature=0.01, softmax="views"
    ),
}
"""What a method must exceed, and training-free segmentation on the features that the cost family reads, so that the
difference to it is the effect of training. Both get the prompts of the method."""
OTHER_VOCABULARIES: tuple[WorldNames, ...] = (20, 59, 459, 847)
IMAGES = 6
FREE_TEXT_IMAGES = 4
DISTRACTORS = 4
SHIFT = "shift."
"""Prefix of the overrides for the fine-tuning of SCAN's second CLIP."""


def has_fast_bf16() -> bool:
    """Whether this machine computes in bfloat16 faster than in float32: a GPU, or a CPU with instructions for it."""
    if torch.cuda.is_available():
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def precision_overrides(*, fast_bf16: bool) -> list[str]:
    """Overrides of the packaged config: float32 where bfloat16 is emulated, which is about ten times slower."""
    return [] if fast_bf16 else ["training.precision=fp32"]


@dataclass(frozen=True)
class Sizes:
    """Numbers of test scenes: `scenes` with 150 classes, `others` with each of the other vocabularies.

    `calibration` is the number of validation scenes for calibrating scores to confidences.
    """

    scenes: int = 300
    others: int = 30
    calibration: int = 40


def quickstart(
    method: str,
    output: Path,
    *,
    seed: int = 0,
    sizes: Sizes = Sizes(),
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Path:
    """Train and evaluate `method` (such as "cat_seg") on the drawn world and return the path of the HTML report.

    `overrides` (`key.sub=value`) change the packaged config; those that begin with `shift.` change that of the second
    CLIP of SCAN. `output` gets the run (`run.../`, with the model directory), `results.json` and `report.html`.

    Raises:
        ConfigError: there is no such method, or overrides do not fit what it trains; checked before the training.
    """
    began = time.monotonic()
    experiment, second_stage = _configs(method, seed, overrides)
    output.mkdir(parents=True, exist_ok=True)
    say(f"AHS-Seg quickstart: {method}. Everything is written to {output}.")
    run = _save_free(output) if experiment is None else _train(experiment, second_stage, output, say)
    segmenter = Segmenter.from_pretrained(run / MODEL)
    description = read_description(run / MODEL)
    seen = description.trained_on
    if description.calibration is None:
        say(f"Calibrating scores on {sizes.calibration} validation scenes.")
        _calibrate(segmenter, description, run / MODEL, sizes.calibration)
    say(f"Evaluating on {sizes.scenes} test scenes with 150 classes, and with other vocabularies.")
    data = [WorldData(scenes="test", count=sizes.scenes, names=150)]
    data += [WorldData(scenes="test", count=sizes.others, names=names) for names in OTHER_VOCABULARIES]
    evaluations = [_evaluate(segmenter, method, one, seen) for one in data if one.count]
    baselines: list[EvaluationReport] = []
    if method != FREE.name:
        say("Evaluating training-free baselines on the same scenes with the same prompts.")
        for title, config in BASELINES.items():
            free = Segmenter(config.build(), prompts=segmenter.prompts)
            baselines += [_evaluate(free, title, one, seen) for one in data if one.count]
    minutes = (time.monotonic() - began) / 60
    report = Report(
        title=f"{method} on the drawn world",
        summary=_summary(evaluations[0], baselines[0] if baselines else None),
        evaluations=evaluations,
        baselines=baselines,
        provenance=provenance(),
        figures=_figures(segmenter, data[0], seen),
        free_text=_free_text(segmenter),
        loss=LossCurve.read(run / "train.csv") if experiment else None,
        config=experiment.to_yaml() if experiment else "",
        minutes=minutes,
    )
    results = {
        "method": method,
        "seed": seed,
        "minutes": minutes,
        "evaluations": [evaluation.to_dict() for evaluation in evaluations],
        "baselines": [baseline.to_dict() for baseline in baselines],
    }
    write_text(output / "results.json", json.dumps(results, indent=1))
    page = output / "report.html"
    write_report(page, report)
    say(_table(evaluations, baselines))
    say(f"Done in {minutes:.1f} minutes.")
    return page


def _calibrate(segmenter: Segmenter, description: ModelDescription, model: Path, count: int) -> None:
    """Measure confidences and the usual certainty, and write both into the model directory."""
    scenes = WorldData(scenes="validation", count=count, names=150)
    calibration = segmenter.calibrate(scenes.open())
    training = None if segmenter.description is None else segmenter.description.training
    write_description(description.replace(calibration=calibration, training=training), model)


def _configs(method: str, seed: int, overrides: Sequence[str]) -> tuple[Experiment | None, CropClipExperiment | None]:
    """The training of a method and that of its second stage; None: it has none."""
    if method not in (names := [config_name(one) for one in METHODS]):
        raise ConfigError(f"no method {method!r}; there are {', '.join(map(str, names))}.")
    if method == FREE.name:
        if overrides:
            raise ConfigError(f"{overrides[0]}: {method} is not trained, and has nothing to override. Leave it out.")
        return None, None
    second = [override for override in overrides if override.startswith(SHIFT)]
    own = [override for override in overrides if override not in second]
    defaults = [f"training.seed={seed}", *precision_overrides(fast_bf16=has_fast_bf16())]
    experiment = Experiment.read(find_config(f"quickstart/{method}"), own, preset=defaults)
    if isinstance(experiment.method, ScanConfig) and experiment.method.ensemble is not None:
        seeded = [f"training.seed={experiment.training.seed}"]
        changes = [one.removeprefix(SHIFT) for one in second]
        return experiment, CropClipExperiment.read(find_crop_clip("world"), changes, preset=seeded)
    if second:
        raise ConfigError(
            f"{second[0]}: only scan, with its ensemble, has a second stage to fine-tune. Leave out what begins with "
            f"{SHIFT!r}."
        )
    return experiment, None


def _save_free(output: Path) -> Path:
    """Save the training-free method as a run; returns its directory."""
    seen = tuple(WorldData(names="seen").open().vocabulary.labels)
    description = open_training_free(TINY)[0].replace(trained_on=seen)
    save_model(FREE.build(), description, output / "run" / MODEL)
    return output / "run"


def _train(
    experiment: Experiment, second_stage: CropClipExperiment | None, output: Path, say: Callable[[str], None]
) -> Path:
    """Train a method, and with `second_stage` the second CLIP of SCAN; returns the directory of the run."""
    say(f"Training for {experiment.training.steps} steps on drawn scenes with 169 classes.")
    run = output / f"run-{experiment.method.name}-seed{experiment.training.seed}"
    run_experiment(experiment, run, resume=True)
    if second_stage is not None:
        _shift(run, second_stage, say)
    return run


def _shift(run: Path, fine_tuning: CropClipExperiment, say: Callable[[str], None]) -> None:
    """Fine-tune CLIP on masked crops and use it in the second stage of a run's SCAN model."""
    say(f"Fine-tuning the CLIP of the second stage for {fine_tuning.training.steps} steps on masked crops.")
    result = finetune_crop_clip(fine_tuning, run / "shift", into=run / MODEL, resume=True)
    assert result.model is not None
    description, method = load_model(result.model)
    save_model(method, description, run / MODEL)


def _evaluate(segmenter: Segmenter, method: str, data: WorldData, seen: tuple[str, ...]) -> EvaluationReport:
    dataset = data.open()
    return evaluate(
        segmenter.predictor(dataset.vocabulary),
        dataset,
        method=method,
        name=data.title,
        protocol=segmenter.inference.title,
        seen=seen,
    )


def _figures(segmenter: Segmenter, data: WorldData, seen: tuple[str, ...]) -> list[Figure]:
    dataset = data.open()
    predict, names = segmenter.predictor(dataset.vocabulary), dataset.vocabulary.labels
    samples = [dataset[index] for index in range(min(IMAGES, len(dataset)))]
    return [
        Figure(sample.name, sample.image, predict(sample.image), names, truth=sample.labels, seen=seen)
        for sample in samples
    ]


def _free_text(segmenter: Segmenter) -> list[Figure]:
    """Figures of scenes segmented by free text: synonyms, fewer attributes, and classes that are not in the scene."""
    figures = []
    dataset = WorldData(scenes="test", count=1000, names=150).open()
    labels = dataset.vocabulary.labels
    for index in range(1000 - FREE_TEXT_IMAGES, 1000):
        sample, rng = dataset[index], np.random.default_rng(index)
        present = [labels[label] for label in np.unique(sample.labels[sample.labels != IGNORE])]
        absent = rng.choice([name for name in labels if name not in present], DISTRACTORS, replace=False)
        words = [phrase(things().get(name, name), rng, vary=3.0).text for name in [*present, *absent.tolist()]]
        result = segmenter(sample.image, list(dict.fromkeys(words)))
        figures.append(Figure(sample.name, sample.image, result.labels, result.classes))
    return figures


def _summary(main: EvaluationReport, baseline: EvaluationReport | None) -> str:
    scores = main.scores
    text = f"{main.method} on {main.images} scenes with 150 classes"
    if scores.unseen is None or scores.miou is None:
        return text + "."
    text += f": mIoU {100 * scores.miou:.1f}, on classes not seen in training {100 * scores.unseen:.1f}"
    if baseline is None or baseline.scores.unseen is None:
        return text + "."
    return text + f"; without training {100 * baseline.scores.unseen:.1f}."


def _table(evaluations: list[EvaluationReport], baselines: list[EvaluationReport]) -> str:
    titles = {id(report): f"{report.method}, {report.dataset}" for report in (*evaluations, *baselines)}
    width = max(map(len, titles.values()))
    lines = [f"{'mIoU in percent':{width}} {'all':>6} {'seen':>6} {'unseen':>6} {'harmonic':>8}"]
    for report in (*evaluations, *baselines):
        scores = report.scores
        cells = (scores.miou, scores.seen, scores.unseen, scores.harmonic)
        row = [f"{100 * value:.1f}" if value is not None else "-" for value in cells]
        lines.append(f"{titles[id(report)]:{width}} {row[0]:>6} {row[1]:>6} {row[2]:>6} {row[3]:>8}")
    return "\n".join(lines)
