"""Evaluation protocols by name: all settings besides the model that change a score.

The literature uses several protocols; their numbers cannot be compared. A protocol fixes the class prompts (templates,
synonyms), image resizing, windows and the merging of their scores, and which mIoU is the headline. Common to all
protocols here: class scores are resized to the original image size before the argmax, and ignored pixels are not
counted. Treatment of background belongs to the data, see `ahs_seg.data.background`.
"""

from __future__ import annotations

from typing import Final, Literal

from ahs_seg.config import Config, ConfigError
from ahs_seg.inference.predict import (
    CAT_SEG_PROTOCOL,
    InferenceConfig,
    options_in_words,
    training_free_protocol,
)
from ahs_seg.inference.windows import ImageWindows, SlidingWindows
from ahs_seg.vocabulary.prompts import PromptConfig

Denominator = Literal["labelled", "labelled_or_predicted"]
"""Classes that mIoU averages over: those with ground truth, or those with ground truth or predictions."""

OWN: Final = "own"
"""Name of the protocol stored in a model directory."""


class Protocol(Config):
    """Inference settings, class prompts and mIoU definition of a score; `prompts` of `None` are the model's own.

    `source` names the origin of the settings and the differences from it.
    """

    name: str
    source: str
    inference: InferenceConfig
    prompts: PromptConfig | None = None
    denominator: Denominator = "labelled"

    @property
    def title(self) -> str:
        """Name and settings in one line, as shown in reports."""
        parts = [self.inference.title]
        if self.prompts is not None:
            parts.append(_words(self.prompts))
        if self.denominator != "labelled":
            parts.append("mIoU over labelled or predicted classes")
        return f"{self.name}: {'; '.join(parts)}"

    @property
    def settings(self) -> dict[str, str]:
        """Description of every setting that changes the score, by setting."""
        inference = self.inference
        resized = (
            f"shortest edge {inference.shortest_edge}, longest at most {inference.longest_edge}"
            if inference.shortest_edge
            else "only images larger than 5/3 of the backbone's resolution are reduced"
        )
        after = isinstance(inference.windows, ImageWindows)
        merged = "mean of windows" if isinstance(inference.windows, ImageWindows | SlidingWindows) else "one view"
        if isinstance(inference.windows, SlidingWindows) and inference.windows.global_view:
            merged += ", then mean with the whole image"
        return {
            "source": self.source,
            "words": "those of the model" if self.prompts is None else _words(self.prompts),
            "resize": resized,
            "views": inference.windows.title,
            "activation": "after merging" if after else "before merging",
            "merging": merged,
            "argmax": "at the original image size, over all classes",
            "options of the method": ", ".join(options_in_words(inference.options)) or "as in training",
            "ignored pixels": "not counted, neither as label nor as prediction",
            "mIoU": f"mean over classes {self.denominator.replace('_', ' ')}",
        }


_SCAN_SETTINGS: Final[dict[str, dict[str, tuple[float, float, float, Literal["product", "log"]]]]] = {
    "b": {
        "ade20k-847": (0.25, 0.75, 0.05, "log"),
        "ade20k-150": (0.40, 0.70, 0.05, "product"),
        "pascal-context-459": (0.25, 0.70, 0.05, "log"),
        "pascal-context-59": (0.25, 0.35, 0.05, "product"),
        "pascal-voc-20": (0.20, 0.45, 0.10, "product"),
    },
    "l": {
        "ade20k-847": (0.30, 0.75, 0.15, "log"),
        "ade20k-150": (0.55, 0.75, 0.05, "product"),
        "pascal-context-459": (0.25, 0.65, 0.05, "log"),
        "pascal-context-59": (0.50, 0.50, 0.05, "product"),
        "pascal-voc-20": (0.20, 0.65, 0.10, "product"),
    },
}
"""Mask threshold, ensemble weight, background ratio and combination rule published for SCAN-B and SCAN-L."""

_SCAN_SOURCE: Final = (
    "SCAN (Liu et al., CVPR 2024), its released code, whose evaluator divides by classes labelled or predicted"
)


def _scan_protocol(size: str, benchmark: str) -> Protocol:
    threshold, weight, ratio, combination = _SCAN_SETTINGS[size][benchmark]
    ensemble = {"threshold": threshold, "weight": weight, "ratio": ratio, "combination": combination}
    return Protocol(
        name=f"scan-{size}-{benchmark}",
        source=f"{_SCAN_SOURCE}; settings of SCAN-{size.upper()} for {benchmark}. Background patches are spread "
        "evenly, where the original draws them without a seed",
        inference=InferenceConfig(shortest_edge=640, longest_edge=2560, options={"ensemble": ensemble}),
        prompts=PromptConfig(templates="vild", synonyms="joined"),
        denominator="labelled_or_predicted",
    )


PROTOCOLS: Final = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="catseg",
            source="CAT-Seg (Cho et al., CVPR 2024), its published evaluation script; H-CLIP uses the same",
            inference=CAT_SEG_PROTOCOL,
            prompts=PromptConfig(templates="cat_seg", synonyms="first"),
        ),
        Protocol(
            name="san",
            source="SAN (Xu et al., CVPR 2023), configs/Base-coco-stuff-164K-171.yaml and the default template set. "
            "SAN keeps the aspect ratio of the image; methods here resize it to a square",
            inference=InferenceConfig(shortest_edge=640, longest_edge=2560),
            prompts=PromptConfig(templates="vild", synonyms="joined"),
        ),
        Protocol(
            name="mmseg",
            source="SCLIP (Wang et al., ECCV 2024), configs/cfg_ade20k.py and clip_segmentor.py; ClearCLIP and "
            "others after it use shortest edge 448. Their class lists name more synonyms than ours, and they resize "
            "with OpenCV, without antialiasing",
            inference=training_free_protocol(),
            prompts=PromptConfig(templates="imagenet", synonyms="max"),
        ),
        Protocol(
            name="scan",
            source=f"{_SCAN_SOURCE}. The second stage is as the model has it; scan-b-... and scan-l-... have the "
            "settings published for each benchmark",
            inference=InferenceConfig(shortest_edge=640, longest_edge=2560),
            prompts=PromptConfig(templates="vild", synonyms="joined"),
            denominator="labelled_or_predicted",
        ),
        *(_scan_protocol(size, benchmark) for size, settings in _SCAN_SETTINGS.items() for benchmark in settings),
    )
}


def find_protocol(name: str) -> Protocol:
    """Look up a protocol by name.

    Raises:
        ConfigError: the name is unknown; the message lists the known ones.
    """
    if name not in PROTOCOLS:
        known = ", ".join([*PROTOCOLS, OWN])
        raise ConfigError(f"no protocol is called {name!r}; known are {known} ({OWN}: that of the model directory).")
    return PROTOCOLS[name]


def own_protocol(inference: InferenceConfig, prompts: PromptConfig) -> Protocol:
    """The protocol `own`, made of the inference settings and prompts of a model directory."""
    return Protocol(name=OWN, source="the model directory", inference=inference, prompts=prompts)


def choose_protocols(
    names: str, inference: InferenceConfig, prompts: PromptConfig, overrides: list[str] | None = None
) -> list[Protocol]:
    """Protocols for a comma-separated list of names; `key.sub=value` overrides change the inference settings.

    Raises:
        ConfigError: a name is unknown or given twice, or overrides are invalid or given for several protocols.
    """
    chosen = [part.strip() for part in names.split(",") if part.strip()]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"protocols {names!r}; give one or more different names, e.g. catseg,san.")
    found = [own_protocol(inference, prompts) if name == OWN else find_protocol(name) for name in chosen]
    if not overrides:
        return found
    if len(found) > 1:
        raise ConfigError("overrides apply to one protocol only; name one protocol.")
    changed = InferenceConfig.parse(found[0].inference.model_dump(), overrides, source="protocol")
    return [found[0].replace(inference=changed, name=f"{found[0].name}+")]


def _words(prompts: PromptConfig) -> str:
    count = len(prompts.texts)
    templates = prompts.templates if isinstance(prompts.templates, str) else "own"
    rules = {
        "first": "first synonym",
        "mean": "mean of synonyms",
        "max": "best synonym",
        "joined": "synonyms in one prompt",
    }
    return f"{templates} template{'s' * (count > 1)} ({count}), {rules[prompts.synonyms]}"
