"""SCAN: its stages, its switches, and inputs at the edge."""

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F

from ahs_seg.methods.mask.scan.context_shift import RandomPatches, embed_regions, query_generators, spread_evenly
from ahs_seg.methods.mask.scan.crops import cut_regions
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig
from tests.support.scan import build, images, words


@torch.no_grad()
def test_proposals_are_scored_as_the_formulas_say() -> None:
    method = build(ensemble=EnsembleConfig(threshold=0.6, weight=0.6, ratio=0.5))
    inputs, text = images(), words(5)
    features = method.encode(inputs)
    output = method.decode(features, text)
    assert output.proposals is not None
    assert output.proposals.resized == "sigmoids"
    rows = F.normalize(torch.cat([text[:, 0], method.void]), dim=-1)
    own = (100 * F.normalize(features.embeddings[-1], dim=-1) @ rows.T).softmax(-1)
    seen = method.backbone.normalise(inputs)
    context = method.context(seen, features.padded_size)
    for index in range(2):
        logits = F.interpolate(features.predictions[-1].masks[index][None], size=(64, 96), mode="bilinear")[0]
        masks = logits[:, :50, :70].sigmoid() > 0.6
        for query, mask in enumerate(masks):
            outside = torch.ones(5)
            if mask.any():
                region = cut_regions(seen[index], mask[None], 64)
                embedding = embed_regions(
                    method.shifted,
                    region.pixels,
                    region.foreground(8),
                    {number: start[index : index + 1] for number, start in context.starts.items()},
                    ratio=0.5,
                    choose=spread_evenly,
                )
                outside = (100 * embedding[0] @ rows[:-1].T).softmax(-1)
            expected = own[index, query, :-1] ** 0.4 * outside**0.6
            torch.testing.assert_close(output.proposals.classes[index, query], expected, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_images_of_a_batch_do_not_disturb_one_another() -> None:
    method = build(ensemble=EnsembleConfig(threshold=0.6, ratio=0.9, choice="random"))
    together = method(images(), words(4)).logits
    alone = torch.cat([method(one[None], words(4)).logits for one in images()])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_number_of_crops_encoded_at_a_time_changes_no_drawn_patch() -> None:
    """Other patches move an embedding here by 0.02; the saturated scores of a random CLIP would not tell."""
    settings = EnsembleConfig(threshold=0.7, ratio=0.5, choice="random")
    found, scores = [], []
    for batch in (1, 7, 32):
        method = build(ensemble=settings.replace(batch=batch), queries=12)
        features = method.encode(images())
        assert features.valid is not None
        assert features.valid.all()
        assert features.crop_embeddings is not None
        found.append(features.crop_embeddings)
        scores.append(method.decode(features, words(4)).logits)
    for embeddings, logits in zip(found[1:], scores[1:], strict=True):
        torch.testing.assert_close(embeddings, found[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(logits, scores[0], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_drawn_are_patches_of_the_seed_and_the_image_in_0_to_1() -> None:
    method, inputs = build(ensemble=EnsembleConfig(threshold=0.7, ratio=0.5, choice="random", seed=5)), images()
    features, seen = method.encode(inputs), method.backbone.normalise(inputs)
    context = method.context(seen, features.padded_size)
    assert features.valid is not None
    assert features.crop_embeddings is not None
    for index in range(2):
        logits = F.interpolate(features.predictions[-1].masks[index][None], size=(64, 96), mode="bilinear")[0]
        shown = features.valid[index].nonzero()[:, 0]
        masks = logits[shown, :50, :70].sigmoid() > 0.7
        generators = query_generators(inputs[index], 5, features.valid.shape[1])
        choose = RandomPatches([generators[query] for query in shown.tolist()])
        expected = method.embed_image_crops(seen[index], masks, context, index, ratio=0.5, choose=choose)
        torch.testing.assert_close(features.crop_embeddings[index, shown], expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_no_mask_above_the_threshold_leaves_the_proposals_to_themselves() -> None:
    settings = EnsembleConfig(threshold=1.0, weight=0.5)
    method, plain = build(ensemble=settings), build(ensemble=None)
    output, own = method(images(), words(4)).proposals, plain(images(), words(4)).proposals
    assert output is not None
    assert own is not None
    torch.testing.assert_close(output.classes, own.classes**0.5)


@torch.no_grad()
def test_every_switch_changes_what_is_predicted() -> None:
    settings = EnsembleConfig(threshold=0.6, ratio=0.9)
    whole = build(ensemble=settings)
    state = whole.state_dict()
    cases: dict[str, dict[str, Any]] = {
        "semantic": {"semantic": None, "ensemble": settings},
        "ensemble": {"ensemble": None},
        "shift": {"ensemble": settings.replace(ratio=0.0)},
        "view": {"context_view": "whole", "ensemble": settings},
    }
    expected = whole(images(), words(4)).logits
    for name, changes in cases.items():
        other = build(**changes)
        own = other.state_dict()
        other.load_state_dict({key: value for key, value in state.items() if key in own})
        assert not torch.allclose(other(images(), words(4)).logits, expected, atol=1e-4), name


@torch.no_grad()
def test_while_training_the_second_stage_rests() -> None:
    method, plain = build().train(), build(ensemble=None).train()
    assert torch.equal(method(images(), words(3)).logits, plain(images(), words(3)).logits)
    assert method.encode(images()).crop_embeddings is None


def test_trained_are_all_but_the_two_clips() -> None:
    trained = {name.split(".")[0] for name, value in build().named_parameters() if value.requires_grad}
    assert trained == {"pixels", "pixel_decoder", "decoder", "class_embed", "semantic", "void"}


@torch.no_grad()
def test_the_original_clip_gives_the_context_and_the_shifted_one_encodes_crops() -> None:
    method = build()
    before = method.encode(images())
    for value in method.shifted.parameters():
        value.mul_(1.1)
    after = method.encode(images())
    assert torch.equal(before.embeddings[-1], after.embeddings[-1])
    assert before.crop_embeddings is not None
    assert after.crop_embeddings is not None
    assert not torch.allclose(before.crop_embeddings, after.crop_embeddings)


def test_the_output_is_that_of_encode_and_decode() -> None:
    method = build()
    with torch.no_grad():
        features = method.encode(images())
        assert torch.equal(method.decode(features, words(3)).logits, method(images(), words(3)).logits)
        other = dataclasses.replace(features, crop_embeddings=None, valid=None)
        assert not torch.equal(method.decode(other, words(3)).logits, method(images(), words(3)).logits)
