"""Tables of all results: `python -m benchmarks.tables` writes `benchmarks/results/README.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ahs_seg.configs import find_config
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.io.atomic import write_text
from benchmarks.cost_tables import (
    all_classes,
    big_image,
    cost_family,
    hyperspherical,
    mask_family,
    start_up,
    throughput,
)
from benchmarks.markdown import head, table
from benchmarks.speed_tables import inference_form, overlays, protocol, runtime_agreement, runtimes, training
from benchmarks.stored import RESULTS, stored

NAMES: Final = 150
"""Names of the table of methods."""
METRICS: Final = {"miou": "all", "seen": "seen", "unseen": "unseen", "harmonic": "harmonic"}
METHODS: Final = {
    "CAT-Seg": ("quickstart", "cat_seg"),
    "H-CLIP": ("ablation_ahs_seg", "baseline"),
    "AHS-Seg, documented": ("ablation_ahs_seg", "full"),
    "AHS-Seg, simple design, documented": ("ablation_ahs_seg_lite", "full"),
    "HPS-Seg, documented": ("ablation_hps_seg", "full"),
    "EBSeg": ("ablation_ebseg", "full"),
    "SCAN": ("quickstart", "scan"),
}
"""For each method the file with its scores, and its row in an ablation table or its name in a quickstart result."""


def methods() -> Iterator[str]:
    """Table of all methods on the drawn world, on the same scenes for every seed, beside training-free baselines."""
    rows = [
        [row["form"], str(row["templates"]), "", *(f"{100 * row['scores'][key]:.1f}" for key in METRICS)]
        for row in stored("baselines")["rows"]
        if row["names"] == NAMES
    ]
    for title, (file, name) in METHODS.items():
        found = [_of_method(stored(file), name, key) for key in METRICS]
        config = name if file == "quickstart" else file.removeprefix("ablation_")
        prompts = Experiment.read(find_config(f"quickstart/{config}")).training.prompts
        rows.append([title, str(len(prompts.texts)), str(len(found[0])), *map(_spread, found)])
    yield from table(["method", "templates", "seeds", *METRICS.values()], rows)


def _of_method(values: dict[str, Any], name: str, key: str) -> list[float]:
    if "runs" in values:
        return [run["evaluations"][0]["scores"][key] for run in values["runs"] if run["method"] == name]
    (row,) = (row for row in values["rows"] if row["name"] == name)
    return list(row["scores"][key]["by_seed"].values())


def _spread(scores: Sequence[float]) -> str:
    percent = [100 * score for score in scores]
    return f"{statistics.mean(percent):.1f} ± {statistics.stdev(percent):.1f}"


def evaluation(values: dict[str, Any]) -> Iterator[str]:
    """Table of memory over the number of images, and of the cost of scoring."""
    yield from head("Evaluation")
    yield from table(
        ["images", "seconds", "peak resident memory"],
        ([f"{row['images']:,}", f"{row['seconds']:.0f}", f"{row['peak_mib']:.0f} MiB"] for row in values["memory"]),
    )


def colours(values: dict[str, Any]) -> Iterator[str]:
    """Table of how different the colours of touching classes are, and of how long a class keeps its own in a film."""
    yield from head(
        "Colours of classes",
        f"Smallest CIEDE2000 difference of classes that touch, over {values['images']} images of 150 names, in "
        "brackets the median over the images; share of frames of a film in which a class has its first colour.",
    )
    rows = [
        [f"{name}, {scheme}", *(_smallest(row[key]) for key in ("usual", "deuteranopia")), _kept(row)]
        for name in ("drawn scenes", "random maps", "film")
        for scheme, row in values[name].items()
        if isinstance(row, dict)
    ]
    yield from table(["", "usual vision", "deuteranopia", "colour kept"], rows)


def ebseg_balance(values: dict[str, Any]) -> Iterator[str]:
    """Table of the scores of EBSeg with every balance of its three embeddings."""
    yield from head(
        "EBSeg's balance",
        f"{values['models']} models of the quickstart on {values['scenes']} validation scenes with {values['names']} "
        "names, mIoU in percent; 1 - alpha - gamma is the share of the trained embedding for seen classes.",
    )
    yield from table(
        ["alpha", "beta", "gamma", *METRICS.values()],
        (
            [*(f"{row[key]:g}" for key in ("alpha", "beta", "gamma")), *(f"{100 * row[key]:.1f}" for key in METRICS)]
            for row in values["rows"]
        ),
    )


def _smallest(row: dict[str, float]) -> str:
    return f"{row['smallest']:.1f} ({row['median']:.1f})"


def _kept(row: dict[str, Any]) -> str:
    return f"{row['share']:.0%}" if "share" in row else ""


def calibration(values: dict[str, Any]) -> Iterator[str]:
    """Table of calibration errors over the number of classes."""
    yield from head(
        "Calibration",
        f"{values['method']} of the quickstart, calibrated on {values['calibration']['source']} of the drawn world; "
        f"expected calibration error on {values['scenes']} test scenes, in percent.",
    )
    yield from table(
        ["names", "right pixels", "scores", "confidences"],
        (
            [str(row["names"]), *(f"{100 * row[key]:.1f}" for key in ("accuracy", "scores", "confidences"))]
            for row in values["rows"]
        ),
    )


def at_home(values: dict[str, Any]) -> Iterator[str]:
    """Tables of the measures that tell what a model knows from other images and words."""
    for name, model in values["models"].items():
        yield from head(
            f"Is the model at home here? {model['method']}, {name}",
            "AUROC of images at home (drawn scenes with 20 and 150 of their names) against those elsewhere "
            f"({values['photographs']}), and the share with a warning. The threshold of the mean score, "
            f"{model['threshold']:.3f}, is from {values['validation_scenes']} validation scenes.",
        )
        keys = list(model["elsewhere"][0]["auroc"])
        home = [
            [row["home"], str(row["images"]), f"{row['certainty']:.3f}", *([""] * len(keys)), f"{row['warned']:.0%}"]
            for row in model["home"]
        ]
        away = [
            [
                row["elsewhere"],
                str(row["images"]),
                f"{row['certainty']:.3f}",
                *(f"{row['auroc'][key]:.3f}" for key in keys),
                f"{row['warned']:.0%}",
            ]
            for row in model["elsewhere"]
        ]
        titles = ["mean score" if key == "certainty" else key for key in keys]
        yield from table(["images and names", "images", "median of the mean score", *titles, "warned"], [*home, *away])


def precision(values: dict[str, Any]) -> Iterator[str]:
    """Table of labels and mIoU in shorter types, for every method."""
    yield from head(
        "Precision",
        f"{values['scenes']} test scenes of the drawn world, {values['names']} names, on {values['device']}: pixels "
        "with the label of float32 over all scenes and in the worst one, mIoU, and the processor time of a scene. A "
        "CPU without instructions for a type imitates it.",
    )
    rows = [
        [
            name,
            row["dtype"],
            f"{row['agreement']:.2%}",
            f"{row['lowest_agreement']:.2%}",
            f"{100 * row['miou']:.2f}",
            f"{1000 * row['seconds_per_scene']:.0f} ms",
            "yes" if row["instructions"] else "no",
        ]
        for name, found in values["methods"].items()
        for row in found
    ]
    yield from table(["method", "type", "same label", "worst scene", "mIoU", "time", "instructions"], rows)


def training_free(values: dict[str, Any]) -> Iterator[str]:
    """Tables of the training-free variants: the validation scenes that chose the default, and ten other seeds."""
    chosen, columns = values["chosen"], ("miou", "seen", "unseen")
    yield from head(
        "Training-free segmentation with the tiny CLIP, 150 names",
        f"mIoU in percent on {chosen['scenes']} validation scenes.",
    )
    yield from table(
        ["form", "all", "seen", "unseen"],
        ([form, *(f"{scores[key]:.1f}" for key in columns)] for form, scores in chosen["forms"].items()),
    )
    errors = chosen["temperatures"].items()
    yield f"Calibration error of `{chosen['best']}` in percent, by temperature: " + (
        ", ".join(f"{100 * one['calibration_error']:.1f} at {temperature}" for temperature, one in errors) + "."
    )
    yield ""
    yield f"{len(values['seeds'])} other seeds of {values['scenes']} scenes; mean and standard deviation over seeds."
    yield ""
    rows = (
        [row["variant"], *(f"{row[key]['mean']:.1f} ± {row[key]['sd']:.1f}" for key in columns)]
        for row in values["rows"]
    )
    yield from table(["variant", "all", "seen", "unseen"], rows)


def scan_stages(values: dict[str, Any]) -> Iterator[str]:
    """Table of SCAN with and without its second stage."""
    runs = list(values["runs"].values())
    yield from head(
        f"SCAN in small on the drawn world, {values['names']} names, {values['scenes']} test scenes",
        f"mIoU in percent, mean and standard deviation over {len(runs)} seeds.",
    )
    free = values["baseline"]
    rows = [["training-free baseline", *(f"{100 * value:.1f}" for value in free.values())]]
    rows += [[title, *(_spread([run[title][key] for run in runs]) for key in free)] for title in runs[0]]
    yield from table(["", *free], rows)


TABLES = (
    protocol,
    inference_form,
    runtimes,
    runtime_agreement,
    training,
    cost_family,
    mask_family,
    scan_stages,
    hyperspherical,
    all_classes,
    evaluation,
    calibration,
    ebseg_balance,
    at_home,
    colours,
    precision,
    training_free,
    throughput,
    overlays,
    big_image,
    start_up,
)


def main() -> None:
    """Write the tables of all stored results."""
    write_text(RESULTS / "README.md", "\n".join(page()))


def page() -> Iterator[str]:
    """The lines of `benchmarks/results/README.md`."""
    yield from ("# Results", "", "Generated by `python -m benchmarks.tables` from the JSON files in this folder.", "")
    yield from head(
        "Methods on the drawn world, 150 names, 300 test scenes", "mIoU in percent, mean ± s.d. over seeds."
    )
    yield from methods()
    for told in TABLES:
        if (RESULTS / f"{told.__name__}.json").is_file():
            yield from told(stored(told.__name__))


if __name__ == "__main__":
    main()
