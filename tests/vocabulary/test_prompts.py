import pytest
import torch
import torch.nn.functional as F

from ahs_seg.config import ConfigError
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary

VOCABULARY = Vocabulary.parse(["cat", "vehicle = car, auto; bus", "sofa, couch"])


def test_default_prompts_are_those_of_cat_seg():
    table = PromptConfig().table(VOCABULARY)
    assert table.texts == [f"A photo of a {name} in the scene" for name in ("cat", "car", "bus", "sofa")]
    assert table.row_class == (0, 1, 1, 2)
    assert table.cells[2] == (("A photo of a bus in the scene",),)


def test_names_may_hold_braces():
    table = PromptConfig(templates=("{} {0}",)).table(Vocabulary.parse(["a {} b"]))
    assert table.texts == ["a {} b {0}"]


@pytest.mark.parametrize(
    ("synonyms", "rows"), [("first", (0, 1, 1, 2)), ("mean", (0, 1, 1, 2)), ("max", (0, 1, 1, 1, 2, 2))]
)
@pytest.mark.parametrize("ensemble", [True, False])
def test_assembled_embeddings_are_normalised_means(synonyms, rows, ensemble):
    config = PromptConfig(templates=("a {}", "the {}", "one {}"), synonyms=synonyms, ensemble=ensemble)
    table = config.table(VOCABULARY)
    assert table.row_class == rows
    embeddings = dict(zip(table.texts, torch.randn(len(table.texts), 8, dtype=torch.float64), strict=True))
    text = table.assemble(torch.stack(list(embeddings.values())))
    assert text.shape == (len(rows), config.prompts_per_row, 8)
    for row, found in zip(VOCABULARY.rows(synonyms), text, strict=True):
        units = [[F.normalize(embeddings[t.replace("{}", word)], dim=0) for word in row.words] for t in config.texts]
        prompts = [[unit for prompt in units for unit in prompt]] if ensemble else units
        expected = [F.normalize(torch.stack(prompt).mean(0), dim=0) for prompt in prompts]
        torch.testing.assert_close(found, torch.stack(expected))


def test_assembling_is_differentiable():
    table = PromptConfig(synonyms="mean").table(VOCABULARY)
    embeddings = torch.randn(len(table.texts), 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(table.assemble, (embeddings,))


def test_owner_names_the_class():
    table = PromptConfig(synonyms="max").table(VOCABULARY)
    assert table.owner("A photo of a bus in the scene") == "vehicle"
    assert table.owner("A photo of a couch in the scene") == "sofa"


@pytest.mark.parametrize("templates", [[], ["no place"], ["{} and {}"], "coco"])
def test_wrong_templates_are_explained(templates):
    with pytest.raises(ConfigError, match="templates"):
        PromptConfig.parse({"templates": templates})
