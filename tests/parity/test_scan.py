"""Every recorded tensor of SCAN, from the official names to class maps, and its training losses and gradients."""

from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_scan import convert_scan
from ahs_seg.inference.mask_scores import mask_views
from ahs_seg.methods.mask.proposals import padded, padded_size_of
from ahs_seg.methods.mask.scan.context_shift import spread_evenly
from ahs_seg.methods.mask.scan.crops import cut_regions
from ahs_seg.methods.mask.scan.ensemble import combine, crop_probabilities
from ahs_seg.methods.mask.scan.objective import ScanObjective
from ahs_seg.methods.mask.scan.segmenter import ScanFeatures
from ahs_seg.methods.mask.scan.semantic_integration import gap
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.types import TrainingForward
from tests.parity.mask_recording import RecordedDraws, value_of
from tests.parity.recording import generator
from tests.parity.scan_case import CONFIGS, RECORDED, ScanCase, build_scan

NAMES = [
    "scan_tiny",
    pytest.param("scan_vitb", marks=[pytest.mark.slow, pytest.mark.xdist_group("scan_vitb")]),
    pytest.param("scan_vitl", marks=[pytest.mark.slow, pytest.mark.xdist_group("scan_vitl")]),
]


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> ScanCase:
    return build_scan(request.param)


@pytest.fixture(scope="module")
def features(case: ScanCase) -> ScanFeatures:
    case.method.ensemble = None  # the second stage is compared on fixed masks
    with torch.no_grad():
        found = case.method.encode(case.image)
    case.method.ensemble = RECORDED
    return found


@torch.no_grad()
def test_words(case: ScanCase) -> None:
    rows = torch.cat([class_embeddings(case.text), F.normalize(case.method.void, dim=-1)])
    case.close("text_features", rows)


@torch.no_grad()
def test_context(case: ScanCase) -> None:
    method = case.method
    seen, padded_size = method.backbone.normalise(case.image), padded_size_of(case.image, method.pixels)
    case.close("clip_input_img", F.interpolate(padded(seen, padded_size), size=(224, 224), mode="nearest"))
    context = method.context(seen, padded_size)
    assert method.semantic is not None
    for index, (block, level, sigma) in enumerate(
        zip(method.levels, context.levels, method.semantic.sigmas, strict=True)
    ):
        case.close(f"clip_layer_{block}", level.flatten(2).permute(2, 0, 1))
        case.close(f"lfm_{index}_filter", gap(level.shape[-2], level.shape[-1], sigma)[None, None])
        case.close(f"lfm_{index}_out", method.semantic.filter(level, sigma=sigma))
    for block in method.shifts:
        case.close(f"clip_cls_token_{block}", context.starts[block][None])
    recorded = torch.from_numpy(case.recording.arrays["clip_final_cls_token"]).view_as(context.image)
    torch.testing.assert_close(context.image, F.normalize(recorded, dim=-1), atol=1e-4, rtol=0)
    case.close("sim_memory", method.semantic.memory(context.levels))


@torch.no_grad()
def test_pixels(case: ScanCase) -> None:
    method = case.method
    maps = method.pixels(padded(method.pixels.normalise(case.image), padded_size_of(case.image, method.pixels)))
    for index, level in enumerate(maps, start=2):
        case.close(f"swin_res{index}", level)
    decoded = method.pixel_decoder(maps)
    case.close("pixel_mask_features", decoded.masks)
    for index, level in enumerate(decoded.levels):
        case.close(f"pixel_multi_scale_{index}", level)


@torch.no_grad()
def test_swin_on_maps_smaller_than_its_windows(case: ScanCase) -> None:
    if "swin_small_res2" not in case.recording.arrays:
        assert case.recording.name == "scan_vitl"
        return
    pixels = torch.from_numpy(value_of("swin/small_input", [1, 3, 256, 320], 1, 0))
    for index, level in enumerate(case.method.pixels(pixels), start=2):
        case.close(f"swin_small_res{index}", level)


@torch.no_grad()
def test_proposals(case: ScanCase, features: ScanFeatures) -> None:
    method, last = case.method, features.predictions[-1]
    for name, prediction in {"0": features.predictions[0], "last": last}.items():
        case.close(f"pred_masks_{name}", prediction.masks)
        case.close(f"class_embed_{name}", method.class_embed(prediction.states))
    stored = case.recording.manifest["arrays"]["attn_mask_1"]["shape"]
    size = (features.padded_size[0] // 16, features.padded_size[1] // 16)
    resized = F.interpolate(features.predictions[1].masks, size=size, mode="bilinear", align_corners=False)
    blocked = (resized.sigmoid() < 0.5).flatten(2)
    blocked &= ~blocked.all(-1, keepdim=True)  # a query whose mask is empty attends everywhere
    assert case.recording.agreement("attn_mask_1", blocked.repeat_interleave(stored[0], 0).float()) > 0.999


@torch.no_grad()
def test_semantic_integration(case: ScanCase, features: ScanFeatures) -> None:
    method = case.method
    assert method.semantic is not None
    context = method.context(method.backbone.normalise(case.image), features.padded_size)
    plain = method.class_embed(features.predictions[-1].states)
    fused = method.semantic.fuse(plain, method.semantic.memory(context.levels))
    case.close("sim_fused_last", fused)
    case.close("sim_calibrated_last", features.embeddings[-1].flatten(0, 1)[:, None])
    case.close("class_logits_last", method.class_logits(features.embeddings[-1], case.text))
    inside = method.class_logits(features.embeddings[-1], case.text).softmax(-1)[0, :, :-1]
    if "in_vocab_probs" in case.recording.arrays:
        case.close("in_vocab_probs", inside)


def fixed_masks(case: ScanCase, height: int = 392, width: int = 500) -> Tensor:
    """Probabilities of six masks: the first is empty, the second covers everything, the third is one box."""
    cells = generator("masks/stage2").integers(0, 2, size=(6, -(-height // 40), -(-width // 40)))
    cells[0], cells[1], cells[2] = 0, 1, 0
    cells[2, 3:5, 4:6] = 1
    blocks = cells.repeat(40, 1).repeat(40, 2)[:, :height, :width]
    assert case.recording.manifest["stage2"]["num_masks"] == len(cells)
    return torch.from_numpy(np.where(blocks == 1, 0.9, 0.1).astype(np.float32))


@torch.no_grad()
def test_the_second_stage_on_fixed_masks(case: ScanCase, features: ScanFeatures) -> None:
    method = case.method
    masks, seen = fixed_masks(case), method.backbone.normalise(case.image)
    cover = masks > RECORDED.threshold
    valid = cover.flatten(1).any(1)
    np.testing.assert_array_equal(valid.numpy(), case.recording.arrays["stage2_valid"])
    regions = cut_regions(seen[0], cover[valid], 224)
    case.close("stage2_boxes", regions.boxes, 0)
    case.close("stage2_regions", regions.pixels)
    case.close("stage2_region_masks", regions.masks[:, None], 0)
    case.close("stage2_patch_mask", regions.foreground(method.backbone.patch_size)[..., None], 0)
    context = method.context(seen, features.padded_size)
    crops = torch.zeros(len(masks), method.backbone.dim)
    crops[valid] = method.embed_image_crops(
        seen[0], cover[valid], context, 0, ratio=RECORDED.ratio, choose=spread_evenly
    )
    case.close("stage2_embeds", crops[valid])
    outside = crop_probabilities(100 * crops @ class_embeddings(case.text).T, valid, "one")
    case.close("stage2_clip_probs", outside[valid])
    logits = torch.from_numpy(value_of("logits/stage2", [6, 9], 3.0, 0.0))
    inside, no_object = logits.softmax(-1).split([8, 1], -1)
    ways: dict[str, Literal["product", "log"]] = {"": "product", "_log_branch": "log"}
    for name, combination in ways.items():
        scores = combine(inside, no_object[:, 0], outside, weight=RECORDED.weight, combination=combination)
        case.close(f"stage2_scores{name}", scores)
        case.close(f"stage2_sem_seg{name}", torch.einsum("qk,qhw->khw", scores, masks))


@torch.no_grad()
def test_class_maps() -> None:
    """Of the tiny network alone: a hundred crops through a full CLIP take minutes, and show nothing more."""
    case = build_scan("scan_tiny")
    output = case.method(case.image, case.text)
    assert output.proposals is not None
    (view,) = mask_views(output.proposals)
    size = tuple(case.recording.manifest["eval"]["output_size"])
    labels = torch.einsum("qt,qhw->thw", view.classes, view.masks_at(size)).argmax(0)
    # A mask cut at the threshold may have a pixel more or less, which shows in the picture CLIP is given.
    assert case.recording.agreement("sem_seg_argmax", labels) > 0.97


def test_training_losses_and_gradients(case: ScanCase) -> None:
    recorded = case.recording.manifest.get("train")
    if recorded is None:
        assert case.recording.name == "scan_vitl"
        return
    method, size = case.method.train(), recorded["size"]
    images = torch.cat([case.recording.image(key, *size) for key in recorded["image_keys"]])
    labels = torch.cat([case.recording.labels(key, *size) for key in recorded["label_keys"]])
    draws, count = RecordedDraws(recorded["rand_calls"]), len(case.recording.classes)
    objective = ScanObjective(CONFIGS[case.recording.name].loss, draw=draws)
    output = method(images, case.text)
    forward = TrainingForward(images, labels, torch.arange(count), torch.arange(count), output, 0.0)
    losses = objective(method, forward)
    names = {"loss_ce": "label", "loss_mask": "mask", "loss_dice": "dice"}
    for name, expected in recorded["losses_weighted"].items():
        stem = name.rstrip("0123456789").rstrip("_")
        assert abs(losses[names[stem] + name.removeprefix(stem)].item() - expected) <= 1e-3, name
    assert len(losses) == len(recorded["losses_weighted"])
    total = torch.stack(list(losses.values())).sum()
    assert abs(total.item() - recorded["total"]) <= 5e-3
    total.backward()
    compare_gradients(case, recorded["grad_l2_by_prefix"])
    method.eval().zero_grad()


def compare_gradients(case: ScanCase, recorded: dict[str, float]) -> None:
    """Norms of the gradients below a prefix of official names, and some gradients themselves."""
    trainable = case.recording.manifest["trainable_names"]
    everything = {name: torch.zeros(entry["shape"]) for name, entry in case.recording.manifest["weights"].items()}
    origins = convert_scan(everything).origins
    parameters = dict(case.method.named_parameters())
    for prefix, expected in recorded.items():
        inside = {old for old in trainable if f"{old}.".startswith(f"{prefix}.")}
        gradients = [parameters[new].grad for new, old in origins.items() if old in inside]
        assert gradients, prefix
        assert all(gradient is not None for gradient in gradients), prefix
        norm = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm().item()
        assert abs(norm - expected) <= 1e-2 * expected, f"{prefix}: {norm}, recorded {expected}"
    for name in (name for name in case.recording.arrays if name.startswith("grad/")):
        (new,) = [new for new, old in origins.items() if old == name.removeprefix("grad/")]
        gradient = parameters[new].grad
        assert gradient is not None
        if "in_proj_weight" in name and "lightweight" in name:  # queries and keys have none, and are not ours
            gradient = torch.cat([torch.zeros_like(gradient), torch.zeros_like(gradient), gradient])
        case.close(name, gradient.reshape(case.recording.manifest["arrays"][name]["shape"]), 5e-3)


def test_parameters_and_ignored_keys(case: ScanCase) -> None:
    parameters, recorded = list(case.method.parameters()), case.recording.manifest["parameters"]
    dim = case.method.backbone.dim
    unused = 5 * 2 * (dim**2 + dim)  # queries and keys of the refinement
    assert sum(p.numel() for p in parameters) == recorded["total"] - unused
    assert sum(p.numel() for p in parameters if p.requires_grad) == recorded["trainable"] - unused
    assert all(case.ignored.values())
    reasons = sorted(set(case.ignored.values()))
    assert len(reasons) <= 4, reasons
