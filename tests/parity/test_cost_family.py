"""Every recorded tensor of CAT-Seg and H-CLIP, from the official names to the logits."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone, StemmedClipModel
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.checkpoints.convert_catseg import convert_catseg
from ahs_seg.checkpoints.convert_clip import clip_config
from ahs_seg.checkpoints.convert_hclip import convert_hclip
from ahs_seg.checkpoints.names import check_complete
from ahs_seg.heads.correlation import cosine_cost
from ahs_seg.methods import CatSegConfig, CostSegmenter, HClipConfig
from ahs_seg.methods.cost import resize
from ahs_seg.types import REST, ImageFeatures, Output
from tests.builders import byte_tokenizer
from tests.parity.recording import Recording, recording

CONVERTERS = {"catseg_vitb": convert_catseg, "catseg_vitl": convert_catseg, "hclip_vitb": convert_hclip}


@dataclass
class Case:
    """A recording beside our method with the same weights."""

    recording: Recording
    method: CostSegmenter
    ignored: dict[str, str]

    @property
    def large(self) -> bool:
        return self.recording.name.endswith("vitl")

    @property
    def tolerance(self) -> float:
        return 5e-4 if self.large else 1e-4

    @cached_property
    def features(self) -> ImageFeatures:
        """Features of image A, encoded once for all tests."""
        with torch.no_grad():
            return self.method.backbone.encode_image(self.image, levels=self.method.levels)

    @cached_property
    def image(self) -> Tensor:
        return resize(self.recording.image("A", 384, 384), self.method.backbone.resolution)

    def logits(self, text: Tensor, pooling: int) -> Output:
        """The method's output for image A, from the features at hand."""
        self.method.head.class_pooling = pooling
        with patch.object(self.method.backbone, "encode_image", lambda *_, **__: self.features):
            return self.method(self.image, text)

    def close(self, name: str, value: Tensor, *steps: int) -> None:
        self.recording.close(name, value, steps, self.tolerance)

    def text(self, name: str) -> Tensor:
        """Text features [t 1 d] of recorded token ids, which are padded to 77 positions."""
        ids = torch.from_numpy(self.recording.arrays[name]).long()
        ends = ids.argmax(1)
        encoded = self.method.backbone.encode_text(Tokens(ids[:, : int(ends.max()) + 1], ends))
        return F.normalize(encoded, dim=-1).unsqueeze(1)


def build(name: str) -> Case:
    source = recording(name)
    state = source.state()
    source.check_sums(state)
    conversion = CONVERTERS[name](state)
    prefix = "backbone.model."
    clip = {key.removeprefix(prefix): value for key, value in conversion.state.items() if key.startswith(prefix)}
    config, side = clip_config(clip), 336 if name.endswith("vitl") else 384
    backbone = ClipBackbone(StemmedClipModel(config), byte_tokenizer(), resolution=side)
    method = (HClipConfig() if name == "hclip_vitb" else CatSegConfig()).compose(backbone).eval()
    check_complete(conversion.state, method.state_dict())
    method.load_state_dict(conversion.state)
    return Case(source, method, conversion.ignored)


@pytest.fixture(scope="module", params=list(CONVERTERS))
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield build(request.param)


@torch.no_grad()
def test_image_encoder(case: Case) -> None:
    backbone = case.method.backbone
    patches = backbone.model.vision_model.embeddings.patch_embedding(backbone.normalise(case.image))
    case.close("clip_patch", patches[0], 24, 4, 4)
    tokens, _ = backbone._embed_image(case.image)
    case.close("clip_ln_pre", tokens[0], 16, 16)
    features = case.features
    for level, value in zip(case.method.levels, features.levels, strict=True):
        # The recording has the class token in row 0; ours is already dropped.
        recorded = case.recording.arrays[f"clip_block{level}"][1:]
        ours = value[0].flatten(1).T[15::16, ::16].numpy()
        assert np.abs(ours - recorded).max() <= case.tolerance * np.abs(recorded).max()
    recorded = case.recording.arrays["clip_dense"][1:]
    ours = features.dense[0].flatten(1).T[7::8, ::8].numpy()
    assert np.abs(ours - recorded).max() <= case.tolerance * np.abs(recorded).max()


@torch.no_grad()
def test_text_encoder_and_correlation(case: Case) -> None:
    text = case.text("tokens_20")
    case.close("text_embed", text[:, 0], 1, 1)
    case.close("corr", cosine_cost(case.features.dense, text)[0, 0], 1, 1, 1)


@torch.no_grad()
def test_every_step_of_the_aggregation(case: Case) -> None:
    method, head = case.method, case.method.head
    features = case.features
    case.close("res4_up", method.pyramid.upsample_fine(features.levels[0])[0], 16, 6, 6)
    case.close("res5_up", method.pyramid.upsample_finest(features.levels[1])[0], 16, 12, 12)
    guidance = method.pyramid(features)
    case.close("app_guidance", guidance.appearance[0], 8, 4, 4)
    case.close("dec_guidance1", guidance.fine[0], 4, 6, 6)
    case.close("dec_guidance2", guidance.finest[0], 2, 12, 12)
    text = case.text("tokens_20")
    words = head.text_guidance(text.mean(1))
    case.close("text_guidance", words, 1, 4)
    maps = head.embed_cost(cosine_cost(features.dense, text))
    case.close("corr_embed", maps[0].permute(0, 3, 1, 2), 5, 16, 4, 4)
    for index, layer in enumerate(head.layers):
        first, second = layer.spatial.guide(guidance.appearance)
        maps = layer.spatial.plain(maps, first)
        case.close(f"layer{index}_swin1", maps[0], 5, 4, 4, 16)
        maps = layer.spatial.shifted(maps, second)
        case.close(f"layer{index}_swin", maps[0].permute(3, 0, 1, 2), 16, 5, 4, 4)
        terms = layer.classwise.guide(words.unsqueeze(0))
        summary = layer.classwise.combine([layer.classwise.summarise(maps, terms, 2)], len(text))
        maps = layer.classwise(maps, terms, summary, count=len(text), pooling=2)
        case.close(f"layer{index}_class", maps[0].permute(3, 0, 1, 2), 16, 5, 4, 4)
    decoder, terms = head.decoder, head.decoder.prepare(guidance)
    hidden = decoder.up1(maps.permute(0, 1, 4, 2, 3), terms.fine, terms.fine_kernel)
    case.close("decoder1", hidden[0], 5, 8, 6, 6)
    hidden = decoder.up2(hidden, terms.finest, terms.finest_kernel)
    case.close("decoder2", hidden[0], 5, 4, 12, 12)


@torch.no_grad()
@pytest.mark.parametrize("pooling", [2, 1])
def test_logits(case: Case, pooling: int) -> None:
    logits = case.logits(case.text("tokens_20"), pooling).logits[0]
    if pooling == 1:
        case.close("logits_pool1", logits, 1, 6, 6)
        return
    case.close("logits", logits, 1, 4, 4)
    probabilities = F.interpolate(logits.sigmoid()[None], size=(384, 384), mode="bilinear")[0]
    error = np.abs(probabilities[::2, ::16, ::16].numpy() - case.recording.arrays["prob_384"]).max()
    assert error <= (1e-4 if case.large else 2e-5)


@torch.no_grad()
def test_most_similar_classes_of_300(case: Case) -> None:
    if "tokens_300" not in case.recording.arrays:
        assert case.recording.name == "catseg_vitl"  # the one case recorded without it
        return
    text = case.text("tokens_300")
    case.close("text_embed_300", text[:, 0], 6, 8)
    output = case.logits(text, 1)
    assert output.kept is not None
    np.testing.assert_array_equal(output.kept[0].numpy(), case.recording.arrays["topk_selected"])
    logits = torch.full((300, 96, 96), REST)
    logits[output.kept[0]] = output.logits[0]
    case.close("topk_logits", logits, 3, 8, 8)


def test_parameter_counts(case: Case) -> None:
    parameters = list(case.method.parameters())
    assert sum(p.numel() for p in parameters) == case.recording.manifest["n_parameters"]
    ours = sum(p.numel() for p in parameters if p.requires_grad)
    # The originals list the last vision block's query as trainable; it has no part in dense features.
    spare = 0 if case.recording.name == "hclip_vitb" else case.method.backbone.width**2
    assert ours == case.recording.manifest["n_trainable"] - spare


def test_every_ignored_key_has_a_reason(case: Case) -> None:
    assert all(case.ignored.values())
    copies = sum("copy" in reason for reason in case.ignored.values())
    assert copies == (322 if case.recording.name == "hclip_vitb" else 0)
