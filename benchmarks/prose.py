"""Figures that pages tell in sentences: each with the words around it, computed from the result that it comes from.

`benchmarks.evidence_check` looks for them in the pages, whatever their line breaks.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from ahs_seg.experiments.ablation.statistics import student_interval
from benchmarks import ebseg_balance, log_figures, regimes
from benchmarks.stored import RESULTS, stored

Values = dict[str, Any]
Figures = Callable[[Values], Iterator[str]]
NAMES: Final = 150
"""Names of the main tables."""
FORMS: Final = ("zero_shot", "zero_shot, CAT-Seg's form")
"""Training-free segmentation: the default, and on the features that CAT-Seg reads."""


def throughput(values: Values) -> Iterator[str]:
    """Runs over folders."""
    small, alone, large = values["speed"]
    short, long = values["memory"]
    yield (
        f"takes {100 * large['added_to_forward']:.0f} % longer than the forward passes with CAT-Seg at ViT-B/16 size "
        f"({large['run_seconds']:.0f} and {large['forward_seconds']:.0f} s for {large['images']} images)"
    )
    yield f"The tiny CLIP needs {1000 * small['forward_seconds'] / small['images']:.0f} ms per image"
    rates = [f"{one['images_per_second']:.1f}" for one in (small, alone)]
    yield f"segments {rates[0]} images per second, and {rates[1]} with `--threads 1`"
    yield f"{short['peak_mib']:.0f} MiB for {short['images']} images, {long['peak_mib']:.0f} MiB for {long['images']}"


def big_image(values: Values) -> Iterator[str]:
    """Memory of tiled segmentation by height of the image."""
    low, *_, high = values["pictures"]
    yield (
        f"with {high['height']:,} rows of {high['width']:,} pixels takes {high['peak_mib']:,.0f} MiB where one with "
        f"{low['height']:,} rows takes {low['peak_mib']:,.0f} MiB"
    )


def window_merging(values: Values) -> Iterator[str]:
    """Merging of the windows of a large image."""
    (row,) = (row for row in values["merging"] if row["size"] == [4096, 4096])
    fast, plain = (row["median"][name]["seconds"] for name in ("possible winners", "all rows"))
    yield (
        f"For {row['words']} names at {row['size'][0]}x{row['size'][1]} merging takes {fast:.1f} s on two threads, "
        f"where all classes take {plain:.1f} s"
    )
    yield f"{row['rows_somewhere']} can win somewhere, {row['rows_in_a_region']:.1f} in a region on average"


def backbones(values: Values) -> Iterator[str]:
    """Largest difference to `transformers`."""
    yield f"measured: {max(max(one.values()) for one in values['errors'].values()):.0e}".replace("e-0", "e-")


def evaluation(values: Values) -> Iterator[str]:
    """Memory and time of an evaluation beside the forward passes."""
    few, many = values["memory"]
    peaks = [f"{one['peak_mib']:.0f} MiB for {one['images']:,}" for one in (few, many)]
    yield f"{peaks[0]} drawn images and at {peaks[1]}"
    yield f"mIoU {100 * few['miou']:.1f} and {100 * many['miou']:.1f}"
    shares = [one["scoring_seconds"] / one["forward_seconds"] for one in values["scoring"]["cases"]]
    _, free, whole, protocol = (f"{100 * share:.1f}" for share in shares)
    yield f"takes {free} % of the forward pass of a training-free ViT-B/16"
    yield f"for CAT-Seg it takes {whole} % with one view and {protocol} % under `catseg`"


def guided_text(values: Values) -> Iterator[str]:
    """The modules of the simple design at inference."""
    times = sorted(statistics.median(values["seconds"][name]) for name in ("h_clip", "ahs_seg_lite"))
    yield f"{times[0]:.2f} and {times[1]:.2f} seconds on one thread"
    yield f"ratio {values['median_ratio_to_h_clip']['ahs_seg_lite']:.3f}"
    yield f"takes {1000 * values['seconds_to_guide_words']:.1f} ms"


def aligned(values: Values) -> Iterator[str]:
    """The modules of HPS-Seg at inference."""
    yield f"ratio {values['median_ratio_to_h_clip']['hps_seg']:.3f}"


def protocol(values: Values) -> Iterator[str]:
    """Arithmetic of a forward pass beside the matrix peak of the machine."""
    kept, form = values["allocators"]["keeping"], stored("inference_form")
    (row,) = (row for row in kept["rows"] if (row["what"], row["classes"]) == ("forward", NAMES))
    done = sum(form["profile"][0][part]["gflop"] for part in ("tower", "head"))
    low, high = kept["limits"]["fp32, BLAS"], form["matrix_peak"]
    yield f"with {NAMES} classes does {done / row['median_seconds']['ours']:.0f} billion operations a second"
    yield f"reached {low:.0f} to {high:.0f} in the same hour"


def cost_family(values: Values) -> Iterator[str]:
    """Memory of a forward pass."""
    (row,) = (row for row in values["forward"] if row["classes"] == NAMES)
    yield f"It needs {row['economical']['peak_mib']:,} MiB beside {row['textbook']['peak_mib']:,} MiB"


def prompts_of_ebseg(values: Values) -> Iterator[str]:
    """Training-free segmentation at the prompts of EBSeg."""
    free = {form: _unseen(values, form, 14) for form in FORMS}
    (row,) = (row for row in stored("ablation_ebseg")["rows"] if row["name"] == "full")
    yield (
        f"At its own 14 templates training-free segmentation has {free['zero_shot']} on unseen names, with CAT-Seg's "
        f"form {free[FORMS[1]]}, EBSeg {100 * row['scores']['unseen']['mean']:.1f}"
    )
    yield f"With one template the former has {_unseen(values, 'zero_shot', 1)}"
    yield _by_vocabulary(values, "ebseg")[1]


def scan_beside_baselines(values: Values) -> Iterator[str]:
    """SCAN beside training-free segmentation, by vocabulary."""
    main, others = _by_vocabulary(values, "scan")
    yield f"SCAN is {float(_unseen(values, 'zero_shot', 1)) - float(main):.1f} points below the best"
    yield others


def scan_stages(values: Values) -> Iterator[str]:
    """What contextual shift adds, over the seeds."""
    runs = values["runs"].values()
    found = [run["SCAN"]["unseen"] - values["baseline"]["unseen"] for run in runs]
    shift = [run["SCAN"]["unseen"] - run["pictures, no shift"]["unseen"] for run in runs]
    yield f"It is {100 * statistics.fmean(found):.1f} points above training-free segmentation on CAT-Seg's form"
    yield f"over the seeds {_interval(found)}"
    yield f"contextual shift accounts for {100 * statistics.fmean(shift):.1f} of them {_interval(shift)}"


def street_photographs(values: Values) -> Iterator[str]:
    """An own data set."""
    yield f"{len(values['labels'])} classes give mIoU {100 * values['headline']:.1f} on {values['images']} others"


def training(values: Values) -> Iterator[str]:
    """What two settings that compute the same bits differ by."""
    times = {(row["classes"], row["recomputed"], row["products"]): row["median_seconds"] for row in values["rows"]}
    pairs = [[times[*key, products] for products in ("highest", "medium")] for key in {key[:2] for key in times}]
    yield f"up to {max(max(pair) / min(pair) for pair in pairs):.1f} times, is noise"


def compiled(values: Values) -> Iterator[str]:
    """`torch.compile` of the head."""
    (row,) = values["compiled"]
    yield f"the first call took {row['first call']['wall']:.0f} s"
    yield f"later ones {row['head']['compiled']:.2f} s where the inference form takes {row['head']['inference']:.2f} s"


def calibration(values: Values) -> Iterator[str]:
    """Expected calibration errors by number of names."""
    errors = {row["names"]: [f"{100 * row[key]:.1f}" for key in ("scores", "confidences")] for row in values["rows"]}
    told = [f"from {' to '.join(errors[names])}" for names in (150, 20, 847)]
    yield f"goes {told[0]} percent with 150 names, {told[1]} with 20 and {told[2]} with 847"


def modules(values: Values) -> Iterator[str]:
    """Documented modules of AHS-Seg: differences to H-CLIP on unseen names, and the range of the seeds."""
    found = {row["name"]: _seeds(row) for row in values["rows"] if "unseen" in row["differences"]}
    yield f"{found['ha_hem'][0]} on unseen names, with all three seeds between {found['ha_hem'][1]}"
    yield f"{found['mh_fpn'][0]} on unseen names, seeds between {found['mh_fpn'][1]}"
    yield f"seeds between {found['dc_hsp'][1]}"


def simple_modules(values: Values) -> Iterator[str]:
    """Documented modules of the simple design: differences to H-CLIP on unseen names."""
    found = _differences(values)
    yield f"HPA loses {-found['hpa']:.1f} points on unseen names, alone and similarly with AFR"
    yield f"GCS as documented loses {-found['full+gcs-documented']:.0f}"
    yield f"**SDR** ({found['sdr']:+.1f})"
    yield f"**AFR** ({found['afr']:+.1f})"
    yield f"lose {-found['full']:.1f} points, HPA alone {-found['hpa']:.1f}; HPA + SDR ({found['hpa+sdr']:+.1f})"


def hps_modules(values: Values) -> Iterator[str]:
    """Documented modules of HPS-Seg: the same."""
    found = _differences(values)
    yield f"**HPA** ({found['hpa']:+.1f} on unseen names"
    yield f"**AFR** ({found['afr']:+.1f})"


def ebseg_modules(values: Values) -> Iterator[str]:
    """What SSC adds to the balanced decoder."""
    rows = {row["name"]: row["scores"] for row in values["rows"]}
    unseen, seen = (
        [value - rows["adab"][key]["by_seed"][seed] for seed, value in rows["full"][key]["by_seed"].items()]
        for key in ("unseen", "seen")
    )
    means = [f"{100 * statistics.fmean(values):.1f}" for values in (unseen, seen)]
    yield f"gains {means[0]} points on unseen names {_interval(unseen)} and {means[1]} on seen ones"
    trained = [f"{100 * rows['baseline'][key]['mean']:.1f}" for key in ("unseen", "seen")]
    yield f"do not transfer to unseen names ({trained[0]}) and are weak on seen ones ({trained[1]})"


def mask_family(method: str, values: Values) -> Iterator[str]:
    """Forward pass and labels of a method with masks, for a large image."""
    (row,) = (one for one in values["rows"] if (one["method"], one["classes"]) == (method, 847))
    fast, plain = row["labels"], row["labels_textbook"]
    yield f"that takes {fast['median_cpu_seconds']:.1f} CPU seconds and {fast['peak_mib']} MiB"
    yield f"({plain['median_cpu_seconds']:.1f} seconds, {plain['peak_mib'] / 1024:.1f} GiB"
    yield f"takes {row['forward']['median_seconds']:.0f} seconds on one core"


def tuned(values: Values) -> Iterator[str]:
    """Tuned modules: the same."""
    for row in values["rows"]:
        if "unseen" in row["differences"]:
            difference, seeds = _seeds(row)
            yield f"{difference} on unseen names, seeds between {seeds}"


TOLD: Final[dict[tuple[str, str], Figures]] = {
    ("throughput", "docs/segment.md"): throughput,
    ("big_image", "docs/segment.md"): big_image,
    ("window_merging", "docs/big-images.md"): window_merging,
    ("backbones", "docs/backbones.md"): backbones,
    ("evaluation", "docs/evaluation.md"): evaluation,
    ("hyperspherical", "docs/methods/ahs_seg_lite.md"): guided_text,
    ("hyperspherical", "docs/methods/hps_seg.md"): aligned,
    ("protocol", "docs/methods/cat_seg.md"): protocol,
    ("cost_family", "docs/methods/cat_seg.md"): cost_family,
    ("baselines", "docs/methods/ebseg.md"): prompts_of_ebseg,
    ("baselines", "docs/methods/scan.md"): scan_beside_baselines,
    ("scan_stages", "docs/methods/scan.md"): scan_stages,
    ("street_photographs", "docs/own-data.md"): street_photographs,
    ("training", "docs/own-data.md"): training,
    ("compiled", "docs/python.md"): compiled,
    ("ablation_ahs_seg", "docs/methods/ahs_seg.md"): modules,
    ("ablation_ahs_seg_lite", "docs/methods/ahs_seg_lite.md"): simple_modules,
    ("ablation_hps_seg", "docs/methods/hps_seg.md"): hps_modules,
    ("ablation_ebseg", "docs/methods/ebseg.md"): ebseg_modules,
    ("ebseg_balance", "docs/methods/ebseg.md"): ebseg_balance.told,
    ("mask_family", "docs/methods/ebseg.md"): partial(mask_family, "ebseg"),
    ("mask_family", "docs/methods/scan.md"): partial(mask_family, "scan"),
    ("ablation_tuned", "docs/methods/when.md"): tuned,
    ("ablation_dense_form", "docs/methods/when.md"): partial(regimes.gains, regimes.DENSE),
    ("ablation_ahs_seg_combined", "docs/methods/ahs_seg.md"): regimes.combined,
    ("ablation_tuned_few", "docs/methods/when.md"): regimes.few_names,
    **{
        (regimes.result_of(scale), f"docs/methods/{page}.md"): partial(regimes.gains, told)
        for (scale, page), told in regimes.TOLD.items()
    },
    ("log_figures", "docs/methods/when.md"): log_figures.told,
    ("log_figures", "docs/methods/ahs_seg.md"): log_figures.energies,
    ("calibration", "docs/python.md"): calibration,
}
"""By result and page: the figures that the page tells of the result."""


def missing(root: Path = RESULTS.parents[1]) -> Iterator[str]:
    """Figures of results that their pages tell otherwise, one line each."""
    for (name, place), figures in TOLD.items():
        if (RESULTS / f"{name}.json").is_file():
            page = " ".join((root / place).read_text(encoding="utf-8").split())
            told = figures(stored(name))
            yield from (f"{place} lacks a figure of {name}.json: {one}" for one in told if one not in page)


def _unseen(values: Values, form: str, templates: int, names: int = NAMES) -> str:
    key = form, templates, names
    (row,) = (one for one in values["rows"] if (one["form"], one["templates"], one["names"]) == key)
    return f"{100 * row['scores']['unseen']:.1f}"


def _by_vocabulary(values: Values, method: str) -> tuple[str, str]:
    """Unseen names of a method of the quickstart: with the main vocabulary, and with others beside the best form."""
    ours = [run["evaluations"] for run in stored("quickstart")["runs"] if run["method"] == method]
    means = [f"{100 * statistics.fmean(one['scores']['unseen'] for one in row):.1f}" for row in zip(*ours, strict=True)]
    counts = (20, 59, 459, 847)
    best = [_unseen(values, "zero_shot", 1, names) for names in counts]
    return means[0], f"{', '.join(map(str, counts))} names: {', '.join(means[1:])} beside {', '.join(best)}"


def _differences(values: Values) -> dict[str, float]:
    """Differences of all rows to their baseline on unseen names, in points."""
    compared = (row for row in values["rows"] if "unseen" in row["differences"])
    return {row["name"]: 100 * row["differences"]["unseen"]["difference"] for row in compared}


def _seeds(row: Values) -> tuple[str, str]:
    """Difference of a row to its baseline on unseen names, and the lowest and highest of the seeds, in points."""
    found = row["differences"]["unseen"]
    values = found["by_seed"].values()
    return f"{100 * found['difference']:+.1f}", f"{100 * min(values):+.1f} and {100 * max(values):+.1f}"


def _interval(values: list[float]) -> str:
    found = student_interval(values)
    assert found is not None
    return f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
