"""Time and memory of the parts of a model by number of words, beside what the machine could do."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.config import ConfigError
from ahs_seg.evaluation.machine import best_product, in_turns, machine_limits
from ahs_seg.io.precision import computing_in
from ahs_seg.methods import CatSegConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import Words
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary

PARTS: Final = ("image tower", "head", "whole image", "merging and labels")
ARCHITECTURES: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "vit-b16": ({"vision_config": {"patch_size": 16, "image_size": 224}}, 384),
    "vit-l14": (
        {
            "vision_config": {
                "patch_size": 14,
                "image_size": 336,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
            },
            "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
            "projection_dim": 768,
        },
        336,
    ),
}
"""Sizes of the published CLIPs, and the resolution at which CAT-Seg runs them."""

_TEXTS: Final = 64
"""Prompts that are encoded to measure the text tower."""


def measure_parts(
    segmenter: Segmenter, words: Sequence[int], *, rounds: int, dtype: str = "fp32", side: int = 512
) -> dict[str, Any]:
    """Median seconds, GFLOP and share of the machine's matrix peak of each part, for one image, by number of words.

    The image is random, `side` pixels high and 4/3 as wide; words are random text embeddings, so that no text is
    encoded but in the part "text tower" (64 prompts). "whole image" is the call of a user with known words;
    "merging and labels" is what it takes beyond image tower and head. Peak memory is that of the process.
    """
    limits = machine_limits(rounds=rounds, device=segmenter.device)
    peak = best_product(limits, dtype)
    image = np.random.default_rng(0).integers(0, 256, (side, side * 4 // 3, 3), dtype=np.uint8)
    parts: list[dict[str, Any]] = []
    with torch.no_grad():
        tower = in_turns({"text tower": _text_tower(segmenter)}, rounds)["text tower"]
        parts.append(_row("text tower", _TEXTS, tower, _flop(_text_tower(segmenter)), peak))
        for count in words:
            calls = _calls(segmenter, image, count)
            seconds = in_turns(calls, rounds)
            rest = seconds["whole image"] - seconds["image tower"] - seconds["head"]
            seconds["merging and labels"] = max(0.0, rest)
            flop = {name: _flop(calls[name]) for name in ("image tower", "head")}
            parts += [_row(name, count, seconds[name], flop.get(name), peak) for name in PARTS]
    return {
        "limits": {name: round(value, 1) for name, value in limits.items()},
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "parts": parts,
        "peak_mib": round(peak_mib()),
    }


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value / (2**20 if sys.platform == "darwin" else 2**10)


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """Lines of text for what `measure_parts` found."""
    limits = dict(result["limits"])
    copied = limits.pop("copy")
    peaks = ", ".join(f"{name} {rate:,.0f}" for name, rate in limits.items())
    yield f"matrix products, GFLOP/s: {peaks}; copies: {copied:.1f} GB/s; {result['threads']} thread(s)"
    yield f"{'part':<20}{'words':>8}{'seconds':>10}{'GFLOP':>9}{'GFLOP/s':>9}{'of peak':>9}"
    for row in result["parts"]:
        cells = ["", "", ""]  # operations are counted where they are known
        if row["gflop"] is not None:
            cells = [f"{row['gflop']:.1f}", f"{row['gflop_per_second']:.0f}", f"{row['of_peak']:.0%}"]
        yield f"{row['part']:<20}{row['words']:>8,}{row['seconds']:>10.3f}" + "".join(f"{cell:>9}" for cell in cells)
    yield f"peak memory of the process {result['peak_mib']:,} MiB"


def checked_architecture(name: str) -> str:
    """The name itself.

    Raises:
        ConfigError: there is no such architecture.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(f"architecture {name!r} is not known; allowed are {', '.join(ARCHITECTURES)}.")
    return name


def random_model(architecture: str) -> Segmenter:
    """CAT-Seg with random weights at a published size, `vit-b16` or `vit-l14`: nothing is downloaded.

    Raises:
        ConfigError: there is no such architecture.
    """
    from transformers import CLIPConfig

    settings, resolution = ARCHITECTURES[checked_architecture(architecture)]
    torch.manual_seed(0)
    network = ClipNetwork(CLIPConfig(**settings))
    backbone = ClipBackbone(network, ClipConfig(source=TINY).build().tokenizer, resolution=resolution)
    return Segmenter(CatSegConfig().compose(backbone), prompts=PromptConfig(templates=("a photo of a {}",)))


def _row(part: str, words: int, seconds: float, flop: float | None, peak: float) -> dict[str, Any]:
    row: dict[str, Any] = {"part": part, "words": words, "seconds": round(seconds, 4)}
    rate = None if flop is None else flop / 1e9 / max(seconds, 1e-9)
    row["gflop"] = None if flop is None else round(flop / 1e9, 2)
    row["gflop_per_second"] = None if rate is None else round(rate, 1)
    row["of_peak"] = None if rate is None else round(rate / peak, 3)
    return row


def _text_tower(segmenter: Segmenter) -> Callable[[], Tensor]:
    backbone = segmenter.method.backbone
    tokens = backbone.tokenizer([f"a photo of thing {index}" for index in range(_TEXTS)])
    return _in_type(segmenter, lambda: backbone.encode_text(tokens))


def _calls(segmenter: Segmenter, image: np.ndarray, count: int) -> dict[str, Callable[[], object]]:
    """The parts as calls; the words of the whole image are encoded in the turn that is not counted."""
    method = segmenter.method
    generator = torch.Generator().manual_seed(count)
    shape = (count, segmenter.prompts.prompts_per_row, method.backbone.dim)
    text = F.normalize(torch.randn(shape, generator=generator), dim=-1).to(segmenter.device)
    words: Words = method.prepare(text)
    side = method.backbone.resolution
    pixels = torch.rand(1, 3, side, side, generator=generator).to(segmenter.device)
    features = _in_type(segmenter, lambda: method.encode(pixels))()
    vocabulary = Vocabulary.parse([f"thing {index}" for index in range(count)])
    return {
        "image tower": _in_type(segmenter, lambda: method.encode(pixels)),
        "head": _in_type(segmenter, lambda: method.decode(features, words)),
        "whole image": lambda: segmenter(image, vocabulary),
    }


def _in_type(segmenter: Segmenter, call: Callable[[], Any]) -> Callable[[], Any]:
    """The call in the numeric type of the segmenter, with the wait for its end on a GPU."""

    def run() -> Any:
        with computing_in(segmenter.dtype, segmenter.device):
            result = call()
        if segmenter.device.type == "cuda":
            torch.cuda.synchronize(segmenter.device)
        return result

    return run


def _flop(call: Callable[[], object]) -> float:
    """Floating-point operations of matrix products, convolutions and attention in a call."""
    with FlopCounterMode(display=False, custom_mapping=_of_cpus()) as counted:
        call()
    return float(counted.get_total_flops())


def _of_cpus() -> dict[object, Callable[..., int]]:
    """Operations by operator, for those of CPUs that PyTorch's counter does not know."""
    known: dict[object, Callable[..., int]] = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _of_attention
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # not in every build
        known[torch.ops.mkldnn._linear_pointwise] = _of_packed
    return known


def _of_attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _of_packed(rows: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
    return 2 * math.prod(out_shape) * rows[-1]
