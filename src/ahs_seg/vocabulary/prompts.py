"""Class prompts: prompt texts built from a vocabulary, and their embeddings assembled into one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import field_validator
from torch import Tensor

from ahs_seg.config import Config
from ahs_seg.modules.constants import indices_on
from ahs_seg.vocabulary.templates import CAT_SEG, IMAGENET, VILD
from ahs_seg.vocabulary.vocabulary import SynonymRule, Vocabulary


class PromptConfig(Config):
    """Prompt templates, synonym rule and template ensembling used to turn class names into prompts.

    `templates` is `cat_seg`, `imagenet`, `vild`, or a list of texts with one `{}` each. `ensemble` averages the
    embeddings of all templates into one prompt embedding, which is what heads expect; otherwise each template gives a
    prompt of its own.
    """

    templates: Literal["cat_seg", "imagenet", "vild"] | tuple[str, ...] = "cat_seg"
    synonyms: SynonymRule = "first"
    ensemble: bool = True

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not templates:
            raise ValueError("no template was given; give at least one, e.g. 'A photo of a {} in the scene'")
        for template in templates if isinstance(templates, tuple) else ():
            if template.count("{}") != 1:
                raise ValueError(f"template {template!r} must contain {{}} exactly once, where the name goes")
        return templates

    @property
    def texts(self) -> tuple[str, ...]:
        """Prompt templates as texts, with `{}` in place of the class name."""
        named = {"cat_seg": CAT_SEG, "imagenet": IMAGENET, "vild": VILD}
        return named[self.templates] if isinstance(self.templates, str) else self.templates

    @property
    def prompts_per_row(self) -> int:
        """Number of prompts per class: the size of axis `p` of the text embeddings."""
        return 1 if self.ensemble else len(self.texts)

    def table(self, vocabulary: Vocabulary) -> PromptTable:
        """Table of all prompts of a vocabulary."""
        rows = vocabulary.rows(self.synonyms)
        cells = tuple(tuple(_fill(self.texts, row.words, self.ensemble)) for row in rows)
        return PromptTable(vocabulary, cells, tuple(row.class_index for row in rows))


@dataclass(frozen=True)
class PromptTable:
    """Prompts of a vocabulary: rows (axis `t` of a method) of prompts (axis `p`), each the mean of one or more texts.

    `row_class` gives the class index of each row, in ascending order. The score of a class is that of its best row.
    """

    vocabulary: Vocabulary
    cells: tuple[tuple[tuple[str, ...], ...], ...]
    row_class: tuple[int, ...]

    @property
    def texts(self) -> list[str]:
        """All distinct prompt texts, in order of first use: the input of the text encoder."""
        return list(dict.fromkeys(text for row in self.cells for cell in row for text in cell))

    def owner(self, text: str) -> str:
        """Label of the first class that uses the prompt `text`."""
        found = next(i for i, row in enumerate(self.cells) if any(text in cell for cell in row))
        return self.vocabulary.labels[self.row_class[found]]

    def assemble(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, "t p d"]:
        """L2-normalised embedding of every prompt, from the embeddings of `texts` in the same order; differentiable.

        Several texts of a prompt: the mean of their normalised embeddings, normalised again (Radford et al., 2021).
        """
        unit = F.normalize(embeddings, dim=-1)
        position = {text: index for index, text in enumerate(self.texts)}
        prompts = [[position[text] for text in cell] for row in self.cells for cell in row]
        result = unit[indices_on(unit.device, [prompt[0] for prompt in prompts])]
        several = [index for index, prompt in enumerate(prompts) if len(prompt) > 1]
        if several:
            rows = unit[indices_on(unit.device, [place for index in several for place in prompts[index]])]
            means = torch.stack([part.mean(0) for part in rows.split([len(prompts[index]) for index in several])])
            result = result.index_copy(0, indices_on(unit.device, several), F.normalize(means, dim=-1))
        return result.view(len(self.cells), -1, unit.shape[-1])


def _fill(templates: tuple[str, ...], words: tuple[str, ...], ensemble: bool) -> list[tuple[str, ...]]:
    filled = [tuple(template.replace("{}", word) for word in words) for template in templates]
    return [tuple(text for cell in filled for text in cell)] if ensemble else filled
