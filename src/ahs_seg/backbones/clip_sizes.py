"""The sizes of a CLIP as its `config.json` gives them, without the config class of `transformers`.

Importing that class takes almost as long as importing PyTorch. A config that gives every size in plain form, as this
package and newer versions of `transformers` write it, is read here; any other one is read by `transformers`, which
knows the defaults, the older forms and what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_INTEGERS: Final = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_NUMBERS: Final = ("layer_norm_eps", "attention_dropout", "initializer_range", "initializer_factor")
_IMAGE: Final = ("num_channels", "image_size", "patch_size")
_TEXT: Final = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
_OTHERS: Final = frozenset(["hidden_act", "model_type", "projection_dim", "dtype", "transformers_version"])
_STEM: Final = "stem_channels"
_WHOLE: Final = frozenset(
    [
        "architectures",
        "dtype",
        "initializer_factor",
        "logit_scale_init_value",
        "model_type",
        "projection_dim",
        "text_config",
        "transformers_version",
        "vision_config",
    ]
)


class TowerSizes(SimpleNamespace):
    """The sizes of a tower as attributes, with the names of `transformers`."""

    def to_dict(self) -> dict[str, Any]:
        """The sizes by name."""
        return dict(vars(self))


class ClipSizes:
    """The sizes of both towers (`text_config`, `vision_config`), and of the joint space (`projection_dim`)."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.text_config = TowerSizes(**values["text_config"])
        self.vision_config = TowerSizes(**values["vision_config"])
        self.projection_dim: int = values["projection_dim"]
        self.logit_scale_init_value: float = values["logit_scale_init_value"]
        self.initializer_factor: float = values["initializer_factor"]

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> ClipSizes | None:
        """The sizes of a config that gives all of them in plain form; None: it does not, or has other settings."""
        if not values.keys() <= _WHOLE or not _whole(values, ["projection_dim"]):
            return None
        if not _numeric(values, ["logit_scale_init_value", "initializer_factor"]):
            return None
        towers = [_plain(values.get("text_config"), _TEXT), _plain(values.get("vision_config"), _IMAGE, _STEM)]
        return cls(values) if all(towers) else None

    def to_transformers(self) -> Any:
        """The config of `transformers` with these values."""
        from transformers import CLIPConfig  # takes seconds

        return CLIPConfig.from_dict(self.values)

    def to_dict(self) -> dict[str, Any]:
        """All values, as `transformers` writes them."""
        found: dict[str, Any] = self.to_transformers().to_dict()
        return found

    def save_pretrained(self, directory: Path) -> None:
        """Write `config.json` as `transformers` does."""
        self.to_transformers().save_pretrained(directory)


def _plain(tower: object, sizes: tuple[str, ...], *more: str) -> bool:
    """Whether a tower has all of its settings in plain form, and no others."""
    if not isinstance(tower, dict) or not tower.keys() <= {*_INTEGERS, *_NUMBERS, *sizes, *_OTHERS, *more}:
        return False
    if not _whole(tower, [*_INTEGERS, *sizes]) or not _numeric(tower, _NUMBERS):
        return False
    stem = tower.get(_STEM)
    if stem is not None and not (isinstance(stem, list) and all(type(one) is int and one > 0 for one in stem)):
        return False
    heads = tower["num_attention_heads"]
    return isinstance(tower.get("hidden_act"), str) and heads > 0 and tower["hidden_size"] % heads == 0


def _whole(values: Mapping[str, Any], names: list[str]) -> bool:
    return all(type(values.get(name)) is int and values[name] >= 0 for name in names)


def _numeric(values: Mapping[str, Any], names: list[str] | tuple[str, ...]) -> bool:
    return all(type(values.get(name)) in (int, float) for name in names)
