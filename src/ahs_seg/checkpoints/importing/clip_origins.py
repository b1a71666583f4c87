"""Heads and activation of a CLIP, which no weight shows: given, or fixed by the code that the file comes from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias, get_args

from transformers import CLIPConfig

from ahs_seg.checkpoints.importing.key_rules import ConversionError

Activation: TypeAlias = Literal["gelu", "quick_gelu"]

_HEAD_WIDTH: Final = 64
_VISION: Final = {
    (768, 12, 32): ("ViT-B-32", 12),
    (768, 12, 16): ("ViT-B-16", 12),
    (1024, 24, 16): ("ViT-L-16", 16),
    (1024, 24, 14): ("ViT-L-14", 16),
    (1280, 32, 16): ("ViT-H-16", 16),
    (1280, 32, 14): ("ViT-H-14", 16),
    (1408, 40, 14): ("ViT-g-14", 16),
    (1664, 48, 14): ("ViT-bigG-14", 16),
    (1792, 56, 14): ("ViT-e-14", 16),
}
"""open_clip's name and heads of image towers by width, layers and patch size (its folder `model_configs`)."""
_TEXT: Final = {(512, 12): 8, (768, 12): 12, (1024, 12): 16, (1024, 24): 16, (1280, 32): 20, (1280, 36): 20}
"""Heads of open_clip's text towers by width and layers."""
_OPENAI_ENTRIES: Final = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Entries beside the weights in the files that OpenAI published; neither open_clip nor what loads them keeps any."""
_PUBLISHED: Final = {
    "quick_gelu": {
        (768, 16, 224): ("ViT-B/16", "openai/clip-vit-base-patch16"),
        (768, 32, 224): ("ViT-B/32", "openai/clip-vit-base-patch32"),
        (1024, 14, 224): ("ViT-L/14", "openai/clip-vit-large-patch14"),
        (1024, 14, 336): ("ViT-L/14@336px", "openai/clip-vit-large-patch14-336"),
    },
    "gelu": {
        (768, 16, 224): ("ViT-B/16 of DataComp", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
        (1024, 14, 224): ("ViT-L/14 of DataComp", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    },
}
"""Name and repository of the CLIPs that methods take, by activation and by width, patch size and resolution."""
_OPTIONS: Final = {"heads": "--heads", "text_heads": "--text-heads", "activation": "--activation"}
_REMEDY: Final = (
    "open_clip_config.json beside the file on the hub tells: the activation is quick_gelu if it has "
    '"quick_gelu": true, else gelu; the heads of the image tower are width / head_width (64 without head_width)'
)


@dataclass(frozen=True)
class ClipSettings:
    """Attention heads of the image tower and of the text tower, and the activation of both; None: not known."""

    heads: int | None = None
    text_heads: int | None = None
    activation: Activation | None = None


NOT_GIVEN: Final = ClipSettings()


@dataclass(frozen=True)
class ClipShape:
    """The sizes of both towers on which heads depend."""

    width: int
    layers: int
    patch: int
    text_width: int
    text_layers: int

    @property
    def name(self) -> str | None:
        """open_clip's name of a CLIP with this image tower."""
        return _VISION.get((self.width, self.layers, self.patch), (None, 0))[0]

    def __str__(self) -> str:
        vision = f"an image tower {self.width} wide with {self.layers} layers and patches of {self.patch} pixels"
        return f"{vision}, a text tower {self.text_width} wide with {self.text_layers} layers"


@dataclass(frozen=True)
class ClipOrigin:
    """The code that a CLIP comes from, with the activation that it fixes; heads are 64 wide unless it is open_clip.

    `certain`: the file itself shows that it comes from there, so that other settings are a mistake.
    """

    name: str
    activation: Activation | None = None
    certain: bool = False

    def settings(self, shape: ClipShape, given: ClipSettings) -> ClipSettings:
        """The settings of a CLIP: what is given, else what its origin and its sizes fix.

        Raises:
            ConversionError: a setting is neither given nor fixed, or one that is given cannot be right.
        """
        known = asdict(self._fixed(shape))
        asked = {key: value for key, value in asdict(given).items() if value is not None}
        if self.certain and (wrong := [key for key in asked if known[key] not in (None, asked[key])]):
            right = ", ".join(f"`{_OPTIONS[key]} {known[key]}`" for key in wrong)
            raise ConversionError(f"it comes from {self.name}, which fixes {right}; leave out what was given instead")
        chosen = known | asked
        if missing := [_OPTIONS[key] for key, value in chosen.items() if value is None]:
            raise ConversionError(_question(missing, shape))
        for option, width in (("heads", shape.width), ("text_heads", shape.text_width)):
            if chosen[option] < 1 or width % chosen[option]:
                raise ConversionError(
                    f"`{_OPTIONS[option]} {chosen[option]}` does not divide the {width} channels of that tower"
                )
        return ClipSettings(**chosen)

    def published(self, config: CLIPConfig) -> tuple[str, str]:
        """The name of a CLIP from here and its repository on the hub ("imported" if it is none that is known)."""
        vision = config.vision_config
        unknown = f"a CLIP {vision.hidden_size} wide with patches of {vision.patch_size} pixels", "imported"
        if self.activation is None or vision.hidden_act != self.activation:
            return unknown
        if vision.num_attention_heads * _HEAD_WIDTH != vision.hidden_size:
            return unknown
        found = _PUBLISHED[self.activation]
        return found.get((vision.hidden_size, vision.patch_size, vision.image_size), unknown)

    def _fixed(self, shape: ClipShape) -> ClipSettings:
        """The settings that follow from origin and sizes; None where they do not."""
        _, heads = _VISION.get((shape.width, shape.layers, shape.patch), (None, None))
        narrow, text = (
            None if width % _HEAD_WIDTH else width // _HEAD_WIDTH for width in (shape.width, shape.text_width)
        )
        if self.activation is None or (not self.certain and heads not in (None, narrow)):
            return ClipSettings(heads, _TEXT.get((shape.text_width, shape.text_layers)))  # code on a CLIP of open_clip
        return ClipSettings(narrow, text, self.activation)


OPENAI_FILE: Final = ClipOrigin("OpenAI's code", "quick_gelu", certain=True)
OPENAI: Final = ClipOrigin("a method on OpenAI's CLIP", "quick_gelu")
SCAN: Final = ClipOrigin("SCAN", "gelu")
OPEN_CLIP: Final = ClipOrigin("open_clip")


def origin_of(kind: str, keys: Collection[str]) -> ClipOrigin:
    """The code that the CLIP in a checkpoint of this kind comes from, by the keys of the file.

    Without OpenAI's own entries, a CLIP alone may be one of open_clip, or one that was fine-tuned: nothing is fixed.
    """
    if kind in ("clip", "zero_shot"):
        return OPENAI_FILE if set(keys) >= _OPENAI_ENTRIES else OPEN_CLIP
    return SCAN if kind == "scan" else OPENAI


def described(config: CLIPConfig) -> str:
    """The settings of a CLIP in words."""
    vision, text = config.vision_config, config.text_config
    heads = f"{vision.num_attention_heads} heads in the image tower, {text.num_attention_heads} in the text tower"
    return f"{heads}, activation {vision.hidden_act}"


def _question(missing: list[str], shape: ClipShape) -> str:
    ways = {option: f"`{option} N`" for option in missing}
    ways |= {"--activation": " or ".join(f"`--activation {name}`" for name in get_args(Activation))}
    named = f" ({shape.name} in open_clip, which has it with both activations)" if shape.name else ""
    return (
        "the number of heads and the activation of a CLIP are not in its file, and they do not follow from its sizes: "
        f"{shape}{named}. Give {', '.join(ways[option] for option in missing)}. {_REMEDY}"
    )
