"""Tables of speed beside the published computation, of forms, runtimes, training steps and overlays."""

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
            times = [f"{row['median_seconds'][side]:.2f} s" for side in ("ours", "textbook")]
            rows.append([row["what"], f"{row['classes']:,}", allocator, *times, f"{row['times_faster']:.2f}"])
    yield from table(["", "classes", "allocator", "ours", "published", "ratio"], rows)


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


def inference_form(values: dict[str, Any]) -> Iterator[str]:
    """Tables of the inference form beside the plain modules, and of where its time goes."""
    yield from head(
        "CAT-Seg in its inference form",
        f"{values['provenance']['hardware']['processor']}, {values['threads']} thread(s), float32, one image, in "
        "turns, with an allocator that keeps freed memory. `all packed`: self-test and packing of all linear layers, "
        f"CLIP's too. A product of two 1536x1536 matrices reaches {values['matrix_peak']:.0f} GFLOP/s here.",
    )
    rows = [
        [
            f"{case['model']}, {name}",
            f"{case['words']:,}",
            *(f"{row[f'{part} wall']:.2f} s" for part in ("tower", "head", "forward")),
            f"{case['forms']['plain']['forward wall'] / row['forward wall']:.2f}",
            f"{row['other labels']:,} of {case['labels']:,}",
        ]
        for case in values["rows"]
        for name, row in case["forms"].items()
    ]
    yield from table(["form", "classes", "tower", "head", "forward", "ratio to plain", "other labels"], rows)
    parts = [
        [
            f"{case['model']}, {part}",
            f"{case[part]['gflop']:,.0f}",
            f"{case[part]['seconds']:.2f} s",
            f"{case[part]['gflop'] / case[part]['seconds']:.0f}",
            ", ".join(f"{_operation(name)} {share:.0%}" for name, share in list(case[part]["share"].items())[:4]),
        ]
        for case in values["profile"]
        for part in ("tower", "head")
    ]
    yield from table(["", "GFLOP", "time", "GFLOP/s", "largest shares"], parts)


def _operation(name: str) -> str:
    return "attention" if "attention" in name else name.rpartition(":")[2].strip("_")


def runtimes(values: dict[str, Any]) -> Iterator[str]:
    """Table of exported graphs beside PyTorch."""
    yield from head(
        "CAT-Seg, ViT-B/16, in other runtimes",
        f"{values['provenance']['hardware']['processor']}, {values['settings']['threads']} thread(s), float32, one "
        "384x384 image, in turns. The ratio is the time of the same modules in PyTorch by that of the runtime; the "
        "difference is that of the outputs, relative to the largest.",
    )
    rows = [
        [
            part,
            name,
            f"{row['seconds']:.2f} s",
            f"{found['torch']['seconds'] / row['seconds']:.2f}",
            f"{row['error']:.0e}" if name != "torch" else "",
        ]
        for part, found in values["results"].items()
        for name, row in found.items()
    ]
    yield from table(["", "program", "time", "ratio", "difference"], rows)


def runtime_agreement(values: dict[str, Any]) -> Iterator[str]:
    """Table of labels and mIoU of exported graphs."""
    yield from head(
        "Labels of exported graphs",
        f"{values['method']} of the quickstart, {values['scenes']} test scenes of the drawn world, {values['names']} "
        "names: pixels with the label of PyTorch over all scenes and in the worst one, and mIoU.",
    )
    rows = [
        [row["program"], f"{row['agreement']:.3%}", f"{row['lowest_agreement']:.2%}", f"{100 * row['miou']:.2f}"]
        for row in values["rows"]
    ]
    yield from table(["program", "same label", "worst scene", "mIoU"], rows)


def overlays(values: dict[str, Any]) -> Iterator[str]:
    """Table of the processor time of an image's steps in a run over a folder."""
    yield from head("One image of a folder, tiny CLIP", "Processor time, median, one thread, 640x480 pixels.")
    yield from table(["", "ms"], ([name, f"{spent:.1f}"] for name, spent in values["cpu_ms"].items()))
