"""Prompt tables."""

from ahs_seg.vocabulary.prompts import PromptConfig, PromptTable
from ahs_seg.vocabulary.vocabulary import Vocabulary

NAMES = "cat, sofa, lamp"


def table(names: str = NAMES, **settings) -> PromptTable:
    return PromptConfig(**settings).table(Vocabulary.parse(names))
