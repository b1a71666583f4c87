"""The kinds of image-text networks that can be a backbone, by the `model_type` of their `config.json`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip import (
    CLIP_MEAN,
    CLIP_STD,
    AltClipBackbone,
    ChineseClipBackbone,
    ClipBackbone,
    MetaClip2Backbone,
)
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.clip_sizes import ClipSizes
from ahs_seg.backbones.image_statistics import Numbers
from ahs_seg.backbones.siglip import Siglip2Backbone, SiglipBackbone
from ahs_seg.backbones.tips import Tipsv2Backbone, tips_weights
from ahs_seg.backbones.tokenizer import TextTokenizer
from ahs_seg.backbones.tokenizer_files import (
    altclip_tokenizer,
    chinese_clip_tokenizer,
    clip_tokenizer,
    metaclip_2_tokenizer,
    siglip_tokenizer,
    tipsv2_tokenizer,
)
from ahs_seg.backbones.two_towers import TwoTowerBackbone
from ahs_seg.io.weight_files import StoredTensor

_CLIP_STATISTICS: Final = (CLIP_MEAN, CLIP_STD)
_HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CLASS_EMBEDDING: Final = "vision_model.embeddings.class_embedding"
_TEXT_TOKENS: Final = "text_model.embeddings.token_embedding.weight"
_WORDS: Final = "text_model.embeddings.word_embeddings.weight"


Weights = Mapping[str, StoredTensor]


def _same(stored: Weights, config: Any) -> Weights:
    del config
    return stored


@dataclass(frozen=True)
class Kind:
    """One kind of network: its classes, how its files are read, and what its weights are called.

    `network` is our CLIP, or the name of a class of `transformers`, which is imported when a network is built; `config`
    is such a name. `marks` are keys that every file has, first one of the image tower, then one of the text tower.
    `layers` are the beginnings of the keys of the blocks of each tower. `usual` are mean and standard deviation of
    files without any.
    `own_weights` gives the weights of a file, for a config, under the keys of the network.
    """

    title: str
    network: str | type[ClipNetwork]
    config: str
    backbone: type[TwoTowerBackbone]
    marks: tuple[str, str]
    tokenizer: Callable[[Path, Any], TextTokenizer]
    image_layers: str = "vision_model.encoder.layers."
    text_layers: str = "text_model.encoder.layers."
    usual: tuple[Numbers, Numbers] = _CLIP_STATISTICS
    own_weights: Callable[[Weights, Any], Weights] = field(default=_same)

    @property
    def layers(self) -> Mapping[str, str]:
        """The beginnings of the keys of the blocks, by tower."""
        return {"vision_model": self.image_layers, "text_model": self.text_layers}

    def config_class(self) -> Any:
        """The class of its config."""
        return _of_transformers(self.config, self.title)

    def read_config(self, values: Mapping[str, Any]) -> Any:
        """The config with the values of a `config.json`, of which `transformers` is asked only if it has to be."""
        sizes = ClipSizes.of_plain(values) if self.network is ClipNetwork else None
        return sizes or self.config_class().from_dict(dict(values))

    def network_class(self) -> Any:
        """The class of the network."""
        return _of_transformers(self.network, self.title) if isinstance(self.network, str) else self.network

    def build_empty(self, config: Any) -> Any:
        """A network with this config whose weights are not initialised, which would take longer than loading them."""
        network = self.network_class()
        if network is ClipNetwork:
            return ClipNetwork.empty(config)
        from transformers.initialization import no_init_weights  # takes seconds, as the networks of `transformers` do

        with no_init_weights():
            return network(config)


def _of_transformers(name: str, title: str) -> Any:
    import transformers  # the classes of a kind are imported when that kind is built

    try:
        return getattr(transformers, name)
    except AttributeError:
        raise BackboneError(
            f"transformers {transformers.__version__} has no {name}, the class of a {title}; install a newer version"
        ) from None


def _roberta_weights(stored: Weights, config: Any) -> Weights:
    del config
    return {re.sub(r"^(text_model\.roberta\.encoder)\.layer\.", r"\1.layers.", key): stored[key] for key in stored}


KINDS: Final[dict[str, Kind]] = {
    "clip": Kind("a CLIP", ClipNetwork, "CLIPConfig", ClipBackbone, (_CLASS_EMBEDDING, _TEXT_TOKENS), clip_tokenizer),
    "siglip": Kind(
        "a SigLIP",
        "SiglipModel",
        "SiglipConfig",
        SiglipBackbone,
        ("vision_model.head.probe", _TEXT_TOKENS),
        siglip_tokenizer,
        usual=_HALF,
    ),
    "siglip2": Kind(
        "a SigLIP 2 for any grid",
        "Siglip2Model",
        "Siglip2Config",
        Siglip2Backbone,
        ("vision_model.head.probe", _TEXT_TOKENS),
        siglip_tokenizer,
        usual=_HALF,
    ),
    "metaclip_2": Kind(
        "a MetaCLIP 2",
        "MetaClip2Model",
        "MetaClip2Config",
        MetaClip2Backbone,
        (_CLASS_EMBEDDING, _TEXT_TOKENS),
        metaclip_2_tokenizer,
    ),
    "chinese_clip": Kind(
        "a Chinese-CLIP",
        "ChineseCLIPModel",
        "ChineseCLIPConfig",
        ChineseClipBackbone,
        (_CLASS_EMBEDDING, _WORDS),
        chinese_clip_tokenizer,
        text_layers="text_model.encoder.layer.",
    ),
    "altclip": Kind(
        "an AltCLIP",
        "AltCLIPModel",
        "AltCLIPConfig",
        AltClipBackbone,
        (_CLASS_EMBEDDING, _WORDS.replace("text_model.", "text_model.roberta.")),
        altclip_tokenizer,
        text_layers="text_model.roberta.encoder.layers.",
        own_weights=_roberta_weights,
    ),
    "tipsv2": Kind(
        "a TIPSv2",
        "Tipsv2Model",
        "Tipsv2Config",
        Tipsv2Backbone,
        ("vision_model.embeddings.register_tokens", _TEXT_TOKENS),
        tipsv2_tokenizer,
        image_layers="vision_model.encoder.layer.",
        usual=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        own_weights=tips_weights,
    ),
}
"""Every kind by the `model_type` in the `config.json` of its directories."""
