"""Tables of speed beside the published computation, of training steps and of overlays, from the stored results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import head, table


def protocol(values: dict[str, Any]) -> Iterator[str]:
    """Table of the published protocol and of one forward pass, beside the published computation."""
    hardware = values["provenance"]["hardware"]["processor"]
    yield from head(
        "CAT-Seg, ViT-B/16, beside the published computation",
        f"{hardware}, {values['threads']} thread(s), float32, one 640x480 image, text known, in turns. The ratio is "
        "the time of the published computation, written plainly (`tests/support/textbook.py`), by ours. glibc by "
        "default gives large tensors back to the system, which costs page faults; with `keeping` it keeps them.",
    )
    rows = []
    for allocator, found in values["allocators"].items():
        for row in found["rows"]:
            seconds, memory = row["median_seconds"], row["peak_mib"]
            shown = [f"{memory[side]:,} MiB" if allocator == "default" else "" for side in ("ours", "textbook")]
            times = [f"{seconds[side]:.2f} s" for side in ("ours", "textbook")]
            rows.append([row["what"], f"{row['classes']:,}", allocator, *times, f"{row['times_faster']:.2f}", *shown])
    columns = ["", "classes", "allocator", "ours", "published", "ratio", "memory", "memory, published"]
    yield from table(columns, rows)


def training(values: dict[str, Any]) -> Iterator[str]:
    """Table of training steps with activations kept and recomputed."""
    yield from head(
        "Training step of CAT-Seg, ViT-B/16",
        f"{values['provenance']['hardware']['processor']}, {values['threads']} thread(s), one 384x384 image, text "
        "tower included, in turns; before each step freed memory is given back. `tensors` is the sum that "
        "`ahs-seg train --estimate` tells.",
    )
    rows = [
        [
            f"{'recomputed' if row['recomputed'] else 'kept'}, {row['products']}",
            str(row["classes"]),
            f"{row['median_seconds']:.1f} s",
            f"{row['peak_mib']:,} MiB",
            f"{row['tensors_mib']:,} MiB" if "tensors_mib" in row else "",
            f"{row['gradient_error']:.0e}",
        ]
        for row in values["rows"]
    ]
    yield from table(["variant", "classes", "step", "memory", "tensors", "difference of gradients"], rows)


def overlays(values: dict[str, Any]) -> Iterator[str]:
    """Table of the processor time of an image's steps in a run over a folder."""
    yield from head("One image of a folder, tiny CLIP", "Processor time, median, one thread, 640x480 pixels.")
    yield from table(["", "ms"], ([name, f"{spent:.1f}"] for name, spent in values["cpu_ms"].items()))
