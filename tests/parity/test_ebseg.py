"""Every recorded tensor of EBSeg, from the official names to the label map, and its training losses and gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_ebseg import convert_ebseg
from ahs_seg.inference.mask_scores import mask_views
from ahs_seg.inference.predict import InferenceConfig, score_maps
from ahs_seg.inference.score_maps import best_rows
from ahs_seg.methods.mask.ebseg.embeddings import MOST
from ahs_seg.methods.mask.ebseg.objective import EBSegObjective
from ahs_seg.methods.mask.ebseg.region_recognition import FrontFeatures
from ahs_seg.methods.mask.ebseg.segmenter import EBSegFeatures
from ahs_seg.methods.mask.predictions import PixelFeatures
from ahs_seg.methods.mask.proposals import padded, padded_size_of
from ahs_seg.types import ClassText, Output, TrainingForward
from tests.parity.ebseg_case import CONFIGS, EBSegCase, build_ebseg
from tests.parity.mask_recording import RecordedDraws

NAMES = [
    "ebseg_tiny",
    pytest.param("ebseg_vitb", marks=[pytest.mark.slow, pytest.mark.xdist_group("ebseg_vitb")]),
    pytest.param("ebseg_vitl", marks=[pytest.mark.slow, pytest.mark.xdist_group("ebseg_vitl")]),
]
LOOSE = 1e-3
"""For what lies behind a threshold: a mask that is cut at one half may have a pixel more or less."""


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> EBSegCase:
    return build_ebseg(request.param)


@pytest.fixture(scope="module")
def image(case: EBSegCase) -> Tensor:
    return case.recording.image("image/eval", 392, 500)


@pytest.fixture(scope="module")
def words(case: EBSegCase) -> ClassText:
    with torch.no_grad():
        return case.text()


@pytest.fixture(scope="module")
def output(case: EBSegCase, image: Tensor, words: ClassText) -> Output:
    with torch.no_grad():
        return case.method(image, words)


@pytest.fixture
def features(output: Output) -> EBSegFeatures:
    assert isinstance(output.features, EBSegFeatures)
    return output.features


@dataclass
class Inside:
    """What the forward forms on its way."""

    maps: Sequence[Tensor]
    fused: Sequence[Tensor]
    pixels: PixelFeatures
    front: FrontFeatures


@pytest.fixture(scope="module")
def inside(case: EBSegCase, image: Tensor) -> Inside:
    method = case.method
    padded_size = padded_size_of(image, method.pixels)
    with torch.no_grad():
        front = method.recognition(method._for_clip(image, padded_size))
        maps = method.pixels(padded(method.pixels.normalise(image), padded_size))
        fused = method.fused(maps, front.taps)
        return Inside(maps, fused, method.pixel_decoder(fused), front)


@torch.no_grad()
def test_words(case: EBSegCase, words: ClassText) -> None:
    case.close("text_classifier", case.method.classifier(words))


@torch.no_grad()
def test_clip_in_front(case: EBSegCase, image: Tensor, inside: Inside, features: EBSegFeatures) -> None:
    method = case.method
    case.close("clip_input", method._for_clip(image, padded_size_of(image, method.pixels)))
    case.close("clip_cls_token_last", inside.front.start.transpose(0, 1))
    for tap, value in zip(method.recognition.taps, inside.front.taps, strict=True):
        case.close(f"clip_layer_{tap}", value)
    case.close("clip_final_feature", features.dense)


@torch.no_grad()
def test_the_value_path_before_the_last_blocks(case: EBSegCase, image: Tensor) -> None:
    method, recognition = case.method, case.method.recognition
    tokens, _ = recognition.embed(method._for_clip(image, padded_size_of(image, method.pixels)))
    blocks = method.backbone.model.vision_model.encoder.layers[: recognition.front]
    values = tokens
    for number, (block, weights) in enumerate(
        zip(blocks, method.backbone.attention_weights("vision")[: recognition.front], strict=True), start=1
    ):
        if number > recognition.value_start:
            values = values + recognition._value_update(block, weights, tokens)
        tokens = recognition._plain(block, weights, tokens)
        values = tokens if number == recognition.value_start else values
    case.close("clip_last_surgery", values.transpose(0, 1))


def test_pixels(case: EBSegCase, inside: Inside) -> None:
    for index, (plain, mixed) in enumerate(zip(inside.maps, inside.fused, strict=True), start=2):
        case.close(f"sam_res{index}", plain)
        case.close(f"fused_res{index}", mixed)
    case.close("pixel_mask_features", inside.pixels.masks)
    for index, level in enumerate(inside.pixels.levels):
        case.close(f"pixel_multi_scale_{index}", level)


@torch.no_grad()
def test_predictions(case: EBSegCase, inside: Inside, features: EBSegFeatures) -> None:
    method = case.method
    keys = method.bias.keys(inside.pixels.masks)
    assert method.supervised.scale.item() < MOST
    for index in (0, 1, method.decoder.layers):
        prediction = features.predictions[index]
        case.close(f"pred_masks_{index}", prediction.masks)
        embedded = method.decoder.embed_masks(prediction.states)
        case.close(f"attn_bias_{index}", torch.stack([method.bias.full(embedded, key) for key in keys], 1))
        case.close(f"mask_embeds_{index}", method.supervised(prediction, inside.pixels.masks), LOOSE)
        pooled = method.bias(embedded, keys, inside.front.grid)
        case.close(f"mask_embed_clip_{index}", method.recognition.recognise(inside.front, pooled))
        check_attention_mask(case, inside, index, prediction.masks)


def check_attention_mask(case: EBSegCase, inside: Inside, index: int, masks: Tensor) -> None:
    """The mask of the next layer, if there is one: a query that would see nothing sees everything there."""
    level = inside.pixels.levels[index % 3]
    resized = F.interpolate(masks, size=level.shape[-2:], mode="bilinear", align_corners=False)
    blocked = (resized.sigmoid() < 0.5).flatten(2)
    if index < case.method.decoder.layers:
        blocked &= ~blocked.all(-1, keepdim=True)
    heads = case.recording.manifest["arrays"][f"attn_mask_{index}"]["shape"][0]
    assert case.recording.agreement(f"attn_mask_{index}", blocked.repeat_interleave(heads, 0).float()) > 0.999


@torch.no_grad()
def test_the_bias_laid_over_all_tokens(case: EBSegCase, inside: Inside, features: EBSegFeatures) -> None:
    """As in the original; rows and columns: copies of the class token, the class token, patches."""
    method = case.method
    keys = method.bias.keys(inside.pixels.masks)
    embedded = method.decoder.embed_masks(features.predictions[-1].states)
    bias = method.bias(embedded, keys, inside.front.grid)
    queries, patches = bias.shape[-2:]
    whole = torch.zeros(1, bias.shape[1], queries + 1 + patches, queries + 1 + patches)
    whole[..., :queries] = -100
    whole[..., :queries, :queries] = torch.where(torch.eye(queries).bool(), 0.0, -100.0)
    whole[..., :queries, queries] = -100
    whole[..., :queries, queries + 1 :] = bias
    case.close("formatted_attn_bias", whole)


@torch.no_grad()
def test_scores(case: EBSegCase, output: Output, features: EBSegFeatures) -> None:
    case.close("clip_pooled_embed", features.averaged, LOOSE)
    classifier = case.method.classifier(output.text)
    case.close("logits_adab", features.supervised[-1] @ classifier.T, LOOSE)
    case.close("logits_clip", features.recognised[-1] @ classifier.T)
    case.close("probs_pooled", (features.averaged @ classifier[:-1].T).softmax(-1), LOOSE)
    assert output.proposals is not None
    scores = output.proposals.classes
    no_object = 1 - scores.sum(-1, keepdim=True)
    case.close("mask_cls_results", torch.cat([scores, no_object], -1), LOOSE)


@torch.no_grad()
def test_maps_and_labels(case: EBSegCase, output: Output) -> None:
    assert output.proposals is not None
    (view,) = mask_views(output.proposals)
    size = tuple(case.recording.manifest["eval"]["output_size"])
    sums = torch.einsum("qt,qhw->thw", view.classes, view.masks_at(size))
    case.close("sem_seg", sums)
    picture = case.recording.picture("image/eval", 392, 500)
    config = InferenceConfig(shortest_edge=392)
    rows, maps = score_maps(case.method, picture, output.text, config, size=size)
    labels, _ = best_rows(maps, rows, memory_bytes=config.memory_bytes)
    assert case.recording.agreement("sem_seg_argmax", labels) > 0.9999


@pytest.mark.parametrize("case", ["ebseg_tiny", pytest.param("ebseg_vitb", marks=[pytest.mark.slow])], indirect=True)
def test_training_losses_and_gradients(case: EBSegCase, words: ClassText) -> None:
    recorded = case.recording.manifest["train"]
    method, size = case.method.train(), recorded["size"]
    images = torch.cat([case.recording.image(key, *size) for key in recorded["image_keys"]])
    labels = torch.cat([case.recording.labels(key, *size) for key in recorded["label_keys"]])
    draws, count = RecordedDraws(recorded["rand_calls"]), len(case.recording.classes)
    objective = EBSegObjective(CONFIGS[case.recording.name].loss, draw=draws)
    output = method(images, words)
    forward = TrainingForward(images, labels, torch.arange(count), torch.arange(count), output, 0.0)
    losses = objective(method, forward)
    assert draws.made == len(recorded["rand_calls"])
    for name, expected in recorded["losses_weighted"].items():
        assert abs(losses[ours(name)].item() - expected) <= 1e-3, name
    assert len(losses) == len(recorded["losses_weighted"])
    total = torch.stack(list(losses.values())).sum()
    assert abs(total.item() - recorded["total"]) <= 5e-3
    total.backward()
    compare_gradients(case, recorded["grad_l2_by_prefix"])
    method.eval().zero_grad()


def ours(name: str) -> str:
    names = {"loss_ce": "supervised", "1_loss_ce": "recognised", "loss_mask": "mask", "loss_dice": "dice"}
    if name == "mse_ssc_loss_1":
        return "structure"
    stem = name.rstrip("0123456789").rstrip("_")
    return names[stem] + name.removeprefix(stem)


def compare_gradients(case: EBSegCase, recorded: dict[str, float]) -> None:
    """Norms of the gradients below a prefix of official names, and some gradients themselves."""
    official = {
        name: torch.zeros(entry["shape"])
        for name, entry in case.recording.manifest["weights"].items()
        if name in case.recording.manifest["trainable_names"]
    }
    everything = {name: torch.zeros(entry["shape"]) for name, entry in case.recording.manifest["weights"].items()}
    origins = convert_ebseg(everything).origins
    parameters = dict(case.method.named_parameters())
    for prefix, expected in recorded.items():
        inside = {old for old in official if f"{old}.".startswith(f"{prefix}.")}
        mine = [parameters[new] for new, old in origins.items() if old in inside]
        assert mine, prefix
        gradients = [parameter.grad for parameter in mine]
        assert all(gradient is not None for gradient in gradients), prefix
        norm = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm().item()
        assert abs(norm - expected) <= 1e-2 * expected, f"{prefix}: {norm}, recorded {expected}"
    for name in (name for name in case.recording.arrays if name.startswith("grad/")):
        (new,) = [new for new, old in origins.items() if old == name.removeprefix("grad/")]
        gradient = parameters[new].grad
        assert gradient is not None
        case.close(name, gradient.reshape(case.recording.manifest["arrays"][name]["shape"]), 5e-3)


def test_parameters_and_ignored_keys(case: EBSegCase) -> None:
    recorded = case.recording.manifest.get("parameters")
    parameters = list(case.method.parameters())
    if recorded is not None:
        assert sum(p.numel() for p in parameters) == recorded["total"]
        assert sum(p.numel() for p in parameters if p.requires_grad) == recorded["trainable"]
    assert len(case.ignored) == 5
    assert all(case.ignored.values())
    assert np.isfinite(sum(float(p.detach().double().sum()) for p in parameters))
