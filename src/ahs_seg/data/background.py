"""Background rules of the literature: how each evaluation protocol treats pixels without an object class.

In PASCAL label maps a large part of an image is "background", which papers treat in different ways under similar names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ahs_seg.data.base import Sample
from ahs_seg.data.catalog import BenchmarkDataset, find_spec, open_benchmark
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

LABEL: Final = "background"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRule:
    """One background rule: the benchmark files it uses, the class names of its vocabulary, and the background class.

    The model predicts the classes of `vocabulary` and `words` together; of several names with one label the best score
    counts, scores are never merged. `label` is the index of the background class, `None` if there is none. With
    `unlabelled`, pixels without a label belong to background.
    """

    name: str
    benchmark: str
    vocabulary: str
    words: tuple[str, ...] = ()
    label: int | None = None
    unlabelled: bool = False
    meaning: str

    def asked(self) -> Vocabulary:
        """Vocabulary that the model predicts under this rule."""
        known = Vocabulary.known(self.vocabulary)
        return Vocabulary((*known.entries, *Vocabulary.parse(list(self.words)).entries)) if self.words else known


RULES: Final[tuple[BackgroundRule, ...]] = (
    BackgroundRule(
        name="pas-20",
        benchmark="pascal-voc-20",
        vocabulary="pascal-voc-20",
        meaning="20 names; pixels of background are ignored (CAT-Seg's PAS-20, mmseg's VOC20)",
    ),
    BackgroundRule(
        name="pas-20b",
        benchmark="pascal-voc-20b",
        vocabulary="pascal-voc-20b",
        label=20,
        meaning="59 names of PASCAL-Context; 39 of them are names of background (CAT-Seg's PAS-20b)",
    ),
    BackgroundRule(
        name="voc-21",
        benchmark="pascal-voc-20b",
        vocabulary="pascal-voc-20",
        words=(LABEL,),
        label=20,
        meaning="20 names and the word background (mmseg's VOC21; papers use their own words for it, and thresholds "
        "of their own, which are not applied here)",
    ),
    BackgroundRule(
        name="pc-59",
        benchmark="pascal-context-59",
        vocabulary="pascal-context-59",
        meaning="59 names; other pixels are ignored (PC-59)",
    ),
    BackgroundRule(
        name="pc-60",
        benchmark="pascal-context-59",
        vocabulary="pascal-context-59",
        words=(LABEL,),
        label=59,
        unlabelled=True,
        meaning="59 names and the word background, which is all that the 59 do not cover (mmseg's PC60)",
    ),
)


def find_rule(name: str) -> BackgroundRule | None:
    """Background rule of the given name, `None` if there is none."""
    return next((rule for rule in RULES if rule.name == name), None)


class BackgroundRuleDataset:
    """Benchmark dataset whose vocabulary and labels follow a background rule."""

    def __init__(self, rule: BackgroundRule, dataset: BenchmarkDataset) -> None:
        self.rule = rule
        self.dataset = dataset
        self.vocabulary = rule.asked()
        self.image_kind = dataset.image_kind

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        if not self.rule.unlabelled or self.rule.label is None:
            return sample
        return replace(sample, labels=np.where(sample.labels == IGNORE, np.int32(self.rule.label), sample.labels))

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the files of sample `index`."""
        return self.dataset.file_state(index)


def open_with_rule(name: str, root: Path) -> BenchmarkDataset | BackgroundRuleDataset:
    """Dataset of a benchmark, by its name in the catalogue or by the name of a background rule.

    Raises:
        CatalogError: the name is unknown, or none of its files are below the root.
    """
    rule = find_rule(name)
    return (
        open_benchmark(name, root)
        if rule is None
        else BackgroundRuleDataset(rule, open_benchmark(rule.benchmark, root))
    )


def background_of(name: str) -> int | None:
    """Index of the background class in a benchmark or under a background rule, `None` if it has none.

    In predictions made with one index per name, this index and all higher ones are names of background.
    """
    rule = find_rule(name)
    return find_spec(name).background if rule is None else rule.label
