"""Tables of time and memory from the stored results."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import head, table


def cost_family(values: dict[str, Any]) -> Iterator[str]:
    """Table of one forward pass and one training step, in our formulation and the plain one."""
    yield from head(
        "CAT-Seg, ViT-B/16, one 384x384 image",
        f"{values['provenance']['hardware']['processor']}, {values['threads']} thread(s), median of {values['rounds']} "
        f"rounds, float32, commit `{values['provenance']['commit']}`. Memory is the peak beyond the weights.",
    )
    rows = [("forward, text cached", row["kept"], row) for row in values["forward"]]
    for row in values["training_step"]:
        kind = "training step, recomputing" if row["checkpointing"] else "training step"
        rows.append((kind, row["classes"], row))
    yield from table(
        [*["", "classes", "aggregated", "economical", "textbook", "faster"], "economical memory", "textbook memory"],
        ([kind, f"{row['classes']:,}", str(kept), *_beside_textbook(row)] for kind, kept, row in rows),
    )


def all_classes(values: dict[str, Any]) -> Iterator[str]:
    """Table of vocabularies of which all classes are aggregated."""
    yield from head("All classes kept, economical forward pass only")
    yield from table(
        ["classes", "seconds", "memory beyond the weights"],
        ([f"{row['classes']:,}", f"{row['seconds']:.0f}", f"{row['peak_mib']:,} MiB"] for row in values["forward"]),
    )


def mask_family(values: dict[str, Any]) -> Iterator[str]:
    """Table of EBSeg and SCAN from pixels to labels."""
    yield from head(
        f"Mask family, ViT-B/16, one {values['side']}x{values['side']} image",
        f"{values['provenance']['hardware']['processor']}, {values['threads']} thread(s), float32; CPU seconds "
        "(median) and peak memory beyond the weights. The last columns are the step from mask proposals to labels, "
        "ours and with all classes at all pixels.",
    )
    rows = []
    for row in values["rows"]:
        parts = [row[key] for key in ("forward", "labels", "labels_textbook")]
        cells = [text for one in parts for text in (f"{one['median_cpu_seconds']:.2f} s", f"{one['peak_mib']:,} MiB")]
        rows.append([row["method"], str(row["classes"]), *cells, f"{100 * row['equal_labels']:.3f} %"])
    yield from table(
        [*["method", "classes", "forward", "memory", "labels", "memory"], "labels, textbook", "memory", "equal labels"],
        rows,
    )


def hyperspherical(values: dict[str, Any]) -> Iterator[str]:
    """Table of the inference time of rectified features and guided text embeddings."""
    side = "x".join(map(str, values["image"]))
    yield from head(
        f"Hyperspherical parts at inference, ViT-B/16, one {side} image, {values['classes']} classes",
        f"{values['threads']} thread(s), merged, text prepared; alternately in one process. Guiding the text "
        f"embeddings by prototypes takes {1000 * values['seconds_to_guide_words']:.1f} ms, once per vocabulary.",
    )
    yield from table(
        ["method", "rounds", "median", "beside H-CLIP"],
        (
            [name, str(len(found)), f"{statistics.median(found):.2f} s", f"{ratio:.4f}"]
            for (name, found), ratio in zip(
                values["seconds"].items(), values["median_ratio_to_h_clip"].values(), strict=True
            )
        ),
    )


def throughput(values: dict[str, Any]) -> Iterator[str]:
    """Table of the overhead of runs over folders relative to the model."""
    yield from head(f"Runs over folders, {values['classes']} classes")
    rows = []
    for row in values["speed"]:
        seconds = [f"{row[key]:.1f} s" for key in ("forward_seconds", "model_seconds", "run_seconds")]
        added = [f"{100 * row[key]:.1f} %" for key in ("added_to_forward", "added_to_model")]
        rows.append([row["case"], str(row["images"]), str(row["threads"]), *seconds, *added])
    yield from table(
        ["", "images", "threads", "forward", "model", "run", "run beyond forward", "run beyond model"], rows
    )
    yield from table(
        ["images", "peak resident memory"],
        ([f"{row['images']:,}", f"{row['peak_mib']:.0f} MiB"] for row in values["memory"]),
    )


def big_image(values: dict[str, Any]) -> Iterator[str]:
    """Table of tiled segmentation over the size of a GeoTIFF."""
    yield from head(f"GeoTIFF in tiles of {values['tile']}, {values['classes']} classes, {values['threads']} threads")
    rows = []
    for row in values["pictures"]:
        memory = [f"{row[key]:.0f} MiB" for key in ("before_mib", "peak_mib")]
        rows.append([f"{row['height']:,}", f"{row['width']:,}", f"{row['seconds']:.0f}", *memory])
    yield from table(["height", "width", "seconds", "resident memory before", "peak"], rows)


def start_up(values: dict[str, Any]) -> Iterator[str]:
    """Table of processor time and memory of starting."""
    yield from head(
        "Starting: imports and a first answer",
        "Processor seconds (median) and peak memory in MiB of a process of its own, one thread, in turns. `before` is "
        f"commit 71abfea; the weights of the ViT-B take {values['mib_of_weights']} MiB.",
    )
    sides = [side for side in ("before", "now") if side in values["programs"][0]]
    yield from table(
        ["program", *(f"{side}, {unit}" for unit in ("s", "MiB") for side in sides)],
        (
            [row["program"], *(str(row[side][key]) for key in ("cpu_seconds", "peak_mib") for side in sides)]
            for row in values["programs"]
        ),
    )


def _beside_textbook(row: dict[str, Any]) -> list[str]:
    ours, plain = row["economical"], row.get("textbook")
    faster = [f"{plain['median_seconds']:.2f} s", f"{row['times_faster']:.1f} x"] if plain else ["not run", ""]
    memory = [f"{ours['peak_mib']:,} MiB", f"{plain['peak_mib']:,} MiB" if plain else ""]
    return [f"{ours['median_seconds']:.2f} s", *faster, *memory]
