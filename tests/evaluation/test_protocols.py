from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ahs_seg.config import ConfigError
from ahs_seg.data.config import BENCHMARKS
from ahs_seg.evaluation.protocols import PROTOCOLS, Protocol, choose_protocols, find_protocol
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig, predict, score_maps
from ahs_seg.inference.windows import ImageWindows
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig
from ahs_seg.methods.mask.scan.segmenter import ScanOptions, ScanSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from tests.support.builders import random_backbone
from tests.support.small_methods import SCAN_SMALL
from tests.support.tiny_models import ColourMethod

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)


def slide_textbook(method: ColourMethod, text: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """MMSegmentation's `slide_inference` and the argmax of mean logits, written down as it is."""
    pixels = torch.tensor(IMAGE).permute(2, 0, 1)[None].float() / 255
    height, width = pixels.shape[-2:]
    total, count = torch.zeros(1, len(text), height, width), torch.zeros(1, 1, height, width)
    for row in range(max(height - kernel + stride - 1, 0) // stride + 1):
        for column in range(max(width - kernel + stride - 1, 0) // stride + 1):
            bottom, right = min(row * stride + kernel, height), min(column * stride + kernel, width)
            top, left = max(bottom - kernel, 0), max(right - kernel, 0)
            crop = pixels[..., top:bottom, left:right]
            logits = F.interpolate(method(crop, text).logits, size=crop.shape[-2:], mode="bilinear")
            total[..., top:bottom, left:right] += logits
            count[..., top:bottom, left:right] += 1
    return (total / count)[0]


@pytest.mark.parametrize(("kernel", "stride"), [(24, 12), (24, 20), (60, 30), (100, 50)])
def test_windows_over_the_image_equal_mmsegmentation(kernel, stride):
    method, text = (
        ColourMethod(),
        F.normalize(torch.randn(7, 1, 16, generator=torch.Generator().manual_seed(2)), dim=-1),
    )
    config = InferenceConfig(windows=ImageWindows(kernel=kernel, stride=stride), shortest_edge=50)
    expected = slide_textbook(method, text, kernel, stride)
    rows, maps = score_maps(method, IMAGE, text, config)
    torch.testing.assert_close(maps(rows), expected.sigmoid())
    assert torch.equal(predict(method, IMAGE, text, config).labels.long(), expected.argmax(0))


def test_presets_are_what_was_published():
    catseg, mmseg = PROTOCOLS["catseg"], PROTOCOLS["mmseg"]
    assert catseg.inference == CAT_SEG_PROTOCOL
    assert catseg.prompts == PromptConfig()
    assert (mmseg.inference.windows.kernel, mmseg.inference.windows.stride, mmseg.inference.shortest_edge) == (
        224,
        112,
        336,
    )
    assert len(mmseg.prompts.texts) == 80
    assert len(PROTOCOLS["san"].prompts.texts) == len(PROTOCOLS["scan"].prompts.texts) == 14
    assert {name: p.denominator for name, p in PROTOCOLS.items() if not name.startswith("scan-")} == {
        "catseg": "labelled",
        "san": "labelled",
        "mmseg": "labelled",
        "scan": "labelled_or_predicted",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_protocol_says_everything_and_travels_through_yaml(protocol):
    assert Protocol.parse(protocol.model_dump(mode="json")) == protocol
    assert protocol.title.startswith(f"{protocol.name}: ")
    assert protocol.settings.keys() >= {
        "words",
        "resize",
        "views",
        "activation",
        "merging",
        "argmax",
        "options of the method",
        "mIoU",
    }


def test_titles_of_different_protocols_differ():
    assert len({protocol.title.partition(": ")[2] for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


def test_protocols_are_chosen_by_name():
    own = InferenceConfig(shortest_edge=99)
    first, second = choose_protocols("own, catseg", own, PromptConfig(synonyms="max"))
    assert (first.inference, first.prompts.synonyms, second) == (own, "max", PROTOCOLS["catseg"])
    changed = choose_protocols("catseg", own, PromptConfig(), ["windows.overlap=0.5"])[0]
    assert (changed.name, changed.inference.windows.overlap) == ("catseg+", 0.5)
    with pytest.raises(ConfigError, match=r"known are catseg, san, mmseg, scan, scan-b-ade20k-847, .*, own"):
        find_protocol("coco")
    with pytest.raises(ConfigError, match="different names"):
        choose_protocols("san,san", own, PromptConfig())
    with pytest.raises(ConfigError, match="one protocol only"):
        choose_protocols("san,scan", own, PromptConfig(), ["shortest_edge=3"])


def test_scan_has_a_protocol_for_each_size_and_benchmark() -> None:
    names = [name for name in PROTOCOLS if name.startswith("scan-")]
    assert {name.split("-", 2)[2] for name in names} <= set(BENCHMARKS)
    assert len(names) == 10
    options = PROTOCOLS["scan-l-ade20k-847"].inference.options
    published = EnsembleConfig(threshold=0.3, weight=0.75, ratio=0.15, combination="log")
    assert ScanOptions.parse(options).ensemble == published
    plain = PROTOCOLS["scan-b-pascal-voc-20"]
    assert ScanOptions.parse(plain.inference.options).ensemble == EnsembleConfig(threshold=0.2, weight=0.45, ratio=0.1)
    assert plain.denominator == "labelled_or_predicted"
    assert "weight 0.45" in plain.title


def test_only_scan_takes_the_settings_of_a_second_stage() -> None:
    settings = InferenceConfig(options={"ensemble": {"weight": 0.2}})
    config = SCAN_SMALL.replace(ensemble=None)
    method = Segmenter(config.compose(random_backbone()), inference=settings).method
    assert isinstance(method, ScanSegmenter)
    assert method.ensemble == EnsembleConfig(weight=0.2)
    with pytest.raises(ConfigError, match="options of ZeroShotSegmenter is not valid:\n  ensemble: unknown"):
        Segmenter(ZeroShotConfig().compose(random_backbone()), inference=settings)


def test_options_in_files_written_before_they_had_a_place_of_their_own() -> None:
    former = {"shortest_edge": 640, "class_pooling": 1, "ensemble": {"weight": 0.2}}
    assert InferenceConfig.parse(former).options == {"class_pooling": 1, "ensemble": {"weight": 0.2}}
    assert InferenceConfig.parse({"class_pooling": None, "ensemble": None}) == InferenceConfig()
    assert InferenceConfig.parse({"windows": {"name": "picture_windows"}}).windows == ImageWindows()
    assert InferenceConfig.parse({}, ["options.class_pooling=1"]).title == "whole image, class pooling 1"


def test_a_method_without_class_attention_pools_nothing() -> None:
    method = ZeroShotConfig().compose(random_backbone())
    Segmenter(method, inference=InferenceConfig(options={"class_pooling": 1}))
    with pytest.raises(ConfigError, match="class_pooling"):
        Segmenter(method, inference=InferenceConfig(options={"class_pooling": 2}))
