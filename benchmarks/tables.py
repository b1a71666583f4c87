"""Tables of all results: `python -m benchmarks.tables` writes `benchmarks/results/README.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ahs_seg.files import write_text

RESULTS = Path(__file__).parent / "results"


def cost_family(values: dict[str, Any]) -> Iterator[str]:
    """One forward and one training step, economical beside textbook."""
    hardware = values["provenance"]["hardware"]
    yield "## CAT-Seg, ViT-B/16, one 384x384 image"
    yield ""
    yield (
        f"{hardware['processor']}, {values['threads']} thread(s), median of {values['rounds']} rounds, float32, "
        f"commit `{values['provenance']['commit']}`. Memory is the peak beyond the weights."
    )
    yield ""
    yield "| | classes | aggregated | economical | textbook | faster | economical memory | textbook memory |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in values["forward"]:
        yield _row("forward, text cached", row, f"{row['kept']}")
    for row in values["training_step"]:
        kind = "training step, recomputing" if row["checkpointing"] else "training step"
        yield _row(kind, row, f"{row['classes']}")
    yield ""


def all_classes(values: dict[str, Any]) -> Iterator[str]:
    """Vocabularies aggregated whole."""
    yield "## All classes kept, economical forward alone"
    yield ""
    yield "| classes | seconds | memory beyond the weights |"
    yield "|---:|---:|---:|"
    for row in values["forward"]:
        yield f"| {row['classes']:,} | {row['seconds']:.0f} | {row['peak_mib']:,} MiB |"
    yield ""


def evaluation(values: dict[str, Any]) -> Iterator[str]:
    """Memory over images."""
    yield "## Evaluation"
    yield ""
    yield "| images | seconds | peak resident memory |"
    yield "|---:|---:|---:|"
    for row in values["memory"]:
        yield f"| {row['images']:,} | {row['seconds']:.0f} | {row['peak_mib']:.0f} MiB |"
    yield ""


def calibration(values: dict[str, Any]) -> Iterator[str]:
    """Calibration errors over the number of words."""
    yield "## Calibration"
    yield ""
    yield (
        f"{values['method']} of the quickstart, calibrated on {values['calibration']['source']} of the drawn world; "
        f"expected calibration error on {values['scenes']} test scenes, in percent."
    )
    yield ""
    yield "| names | right pixels | scores | confidences |"
    yield "|---:|---:|---:|---:|"
    for row in values["rows"]:
        cells = " | ".join(f"{100 * row[key]:.1f}" for key in ("accuracy", "scores", "confidences"))
        yield f"| {row['names']} | {cells} |"
    yield ""


def mask_family(values: dict[str, Any]) -> Iterator[str]:
    """EBSeg and SCAN from pixels to labels."""
    hardware, side = values["provenance"]["hardware"], values["side"]
    yield f"## Mask family, ViT-B/16, one {side}x{side} picture"
    yield ""
    yield (
        f"{hardware['processor']}, {values['threads']} thread(s), float32; CPU seconds (median) and peak memory beyond "
        "the weights. The last columns are the way from proposals to labels, ours and with all classes at all pixels."
    )
    yield ""
    yield "| method | classes | forward | memory | labels | memory | labels, textbook | memory | equal labels |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row in values["rows"]:
        parts = [row[key] for key in ("forward", "labels", "labels_textbook")]
        cells = " | ".join(f"{part['median_cpu_seconds']:.2f} s | {part['peak_mib']:,} MiB" for part in parts)
        yield f"| {row['method']} | {row['classes']} | {cells} | {100 * row['equal_labels']:.3f} % |"
    yield ""


def throughput(values: dict[str, Any]) -> Iterator[str]:
    """What runs over folders add to the model."""
    yield f"## Runs over folders, {values['threads']} threads, {values['classes']} classes"
    yield ""
    yield "| | images | forward | model | run | run beyond forward | run beyond model |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in values["speed"]:
        seconds = " | ".join(f"{row[key]:.1f} s" for key in ("forward_seconds", "model_seconds", "run_seconds"))
        added = " | ".join(f"{100 * row[key]:.1f} %" for key in ("added_to_forward", "added_to_model"))
        yield f"| {row['case']} | {row['images']} | {seconds} | {added} |"
    yield ""
    yield "| images | peak resident memory |"
    yield "|---:|---:|"
    for row in values["memory"]:
        yield f"| {row['images']:,} | {row['peak_mib']:.0f} MiB |"
    yield ""


def big_image(values: dict[str, Any]) -> Iterator[str]:
    """Tiles over the size of a GeoTIFF."""
    yield f"## GeoTIFF in tiles of {values['tile']}, {values['classes']} classes, {values['threads']} threads"
    yield ""
    yield "| height | width | seconds | resident memory before | peak |"
    yield "|---:|---:|---:|---:|---:|"
    for row in values["pictures"]:
        sizes = f"{row['height']:,} | {row['width']:,} | {row['seconds']:.0f}"
        yield f"| {sizes} | {row['before_mib']:.0f} MiB | {row['peak_mib']:.0f} MiB |"
    yield ""


def _row(kind: str, row: dict[str, Any], kept: str) -> str:
    ours, plain = row["economical"], row.get("textbook")
    cells = [kind, f"{row['classes']:,}", kept, f"{ours['median_seconds']:.2f} s"]
    cells += [f"{plain['median_seconds']:.2f} s", f"{row['times_faster']:.1f} x"] if plain else ["not run", ""]
    cells += [f"{ours['peak_mib']:,} MiB", f"{plain['peak_mib']:,} MiB" if plain else ""]
    return "| " + " | ".join(cells) + " |"


TABLES = {
    "cost_family": cost_family,
    "mask_family": mask_family,
    "all_classes": all_classes,
    "evaluation": evaluation,
    "calibration": calibration,
    "throughput": throughput,
    "big_image": big_image,
}


def main() -> None:
    """Write the tables of the results that are there."""
    lines = ["# Results", "", "Made by `python -m benchmarks.tables` from the JSON files beside it.", ""]
    for name, table in TABLES.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            lines += list(table(json.loads(path.read_text())))
    write_text(RESULTS / "README.md", "\n".join(lines))


if __name__ == "__main__":
    main()
