"""A small random network of every kind of backbone, with a tokenizer of its own kind, in memory or on disk."""

from __future__ import annotations

import string
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from ahs_seg.backbones.clip_config import save_clip
from ahs_seg.backbones.kinds import KINDS
from ahs_seg.backbones.two_towers import TwoTowerBackbone
from tests.support.builders import byte_tokenizer

SIGNS = [*string.ascii_lowercase, *"A狗猫天空道路ñк0", "▁"]
CONTEXT = 40
STATISTICS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}


@dataclass(frozen=True)
class TinyKind:
    """The sizes of a tower pair, and the special tokens of its tokenizer in the order of their ids."""

    model_type: str
    special: tuple[str, ...]
    text: dict[str, Any]
    vision: dict[str, Any]
    whole: dict[str, Any]


_IMAGE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
_FIXED = {**_IMAGE, "image_size": 32}
_TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_XLM = ("<s>", "<pad>", "</s>", "<unk>")
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>")
_WIDE = {"projection_size": 32, "max_position_embeddings": CONTEXT}
_JOINT = {"projection_dim": 24}
TINY_KINDS = {
    "clip": TinyKind(
        "clip",
        (),
        {"vocab_size": 259, "bos_token_id": 257, "eos_token_id": 258, "max_position_embeddings": CONTEXT},
        _FIXED,
        _JOINT,
    ),
    "siglip": TinyKind("siglip", ("<pad>", "</s>", "<unk>"), _WIDE, _FIXED, {}),
    "siglip2": TinyKind("siglip", _GEMMA, _WIDE, _FIXED, {}),
    "siglip2_naflex": TinyKind("siglip2", _GEMMA, _WIDE, {**_IMAGE, "num_patches": 16}, {}),
    "metaclip_2": TinyKind(
        "metaclip_2",
        _XLM,
        {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": CONTEXT},
        _FIXED,
        _JOINT,
    ),
    "chinese_clip": TinyKind(
        "chinese_clip", ("[PAD]", "[UNK]", "[CLS]", "[SEP]"), {"max_position_embeddings": 60}, _FIXED, _JOINT
    ),
    "altclip": TinyKind(
        "altclip", _XLM, {"pad_token_id": 1, "project_dim": 20, "max_position_embeddings": 60}, _FIXED, _JOINT
    ),
}
if hasattr(transformers, "Tipsv2Model"):  # newer than the oldest version that is supported
    TINY_KINDS["tipsv2"] = TinyKind(
        "tipsv2",
        ("<pad>", "<unk>"),
        {"hidden_size": 32, "max_position_embeddings": CONTEXT},
        {"mlp_ratio": 2, **{key: value for key, value in _FIXED.items() if key != "intermediate_size"}},
        {},
    )
"""Every kind of backbone; SigLIP 2 of fixed resolution is one of the type `siglip` with another tokenizer."""


def pieces(special: tuple[str, ...]) -> Tokenizer:
    """A tokenizer of single signs whose first ids are the special tokens."""
    vocabulary = {word: index for index, word in enumerate([*special, *SIGNS])}
    if "[CLS]" in special:
        vocabulary |= {f"##{sign}": len(vocabulary) + index for index, sign in enumerate(SIGNS)}
        core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        core.normalizer = normalizers.BertNormalizer(lowercase=True)
        core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif "<eos>" in special:
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", fuse_unk=True))
        core.normalizer = normalizers.Replace(" ", "▁")
    else:
        scores = [(word, -float(index)) for word, index in vocabulary.items()]
        core = Tokenizer(models.Unigram(scores, unk_id=vocabulary["<unk>"], byte_fallback=False))
        core.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
        core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    core.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    return core


def tiny_backbone(name: str, *, resolution: int = 64, seed: int = 0) -> TwoTowerBackbone:
    """A backbone of this kind with random weights, large enough to tell inputs apart."""
    tiny = TINY_KINDS[name]
    kind = KINDS[tiny.model_type]
    core = pieces(tiny.special) if tiny.special else None
    words = {} if core is None else {"vocab_size": core.get_vocab_size()}
    config = kind.config_class()(
        vision_config=dict(tiny.vision), text_config={**_TEXT, **words, **tiny.text}, **tiny.whole
    )
    if core is None:
        tokenizer: Any = byte_tokenizer(CONTEXT)
    else:
        with tempfile.TemporaryDirectory() as folder:
            core.save(f"{folder}/tokenizer.json")
            tokenizer = kind.tokenizer(Path(folder), config.text_config)
    model = kind.network_class()(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "logit" in key or key == "temperature":
                parameter.fill_(2.0 if "logit" in key else 0.02)
                continue
            scale = 0.1 if parameter.ndim < 2 else 1.0 / parameter.shape[-1] ** 0.5
            ones = 1.0 if parameter.ndim == 1 and parameter.mean() == 1 else 0.0  # norms and layer scales
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + ones)
    mean, std = STATISTICS.values()
    return kind.backbone(model, tokenizer, resolution=resolution, mean=mean, std=std)


def kind_directory(name: str, directory: Path) -> Path:
    """The same network as a directory in the format of `transformers`."""
    backbone = tiny_backbone(name)
    save_clip(backbone.network_state(), backbone, directory)
    return directory
