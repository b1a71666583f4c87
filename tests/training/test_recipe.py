import pytest

from ahs_seg.config import ConfigError
from ahs_seg.training.recipe import OptimizerConfig, Recipe


def test_defaults_are_the_published_ones() -> None:
    """CAT-Seg, specification section 6: the paper's repository, configs/config.yaml and vitb_384.yaml."""
    recipe = Recipe()
    assert (recipe.steps, recipe.batch_size, recipe.evaluate_every) == (80_000, 4, 5_000)
    assert recipe.optimizer == OptimizerConfig(
        lr=2e-4,
        clip_multiplier=0.01,
        weight_decay=1e-4,
        norm_weight_decay=0,
        betas=(0.9, 0.999),
        eps=1e-8,
        clip_norm=0.01,
    )
    assert recipe.prompts.texts == ("A photo of a {} in the scene",)
    assert recipe.ignore_as_negative
    assert recipe.names_per_step is None


def test_yaml_brings_back_the_same_recipe(tmp_path) -> None:
    recipe = Recipe.parse({}, ["optimizer.clip_norm=null", "names_per_step=20", "prompts.templates=imagenet"])
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    assert Recipe.read(path) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rate=1", "optimizer.learning_rate: unknown key"),
        ("steps=0", "steps: Input should be greater than 0"),
        ("accumulation=3", "batch_size 4 cannot be split into accumulation=3 equal parts"),
        (
            "optimizer.warmup_steps=80000",
            "optimizer.warmup_steps 80000 must be fewer than steps 80000; give a smaller one",
        ),
        ("precision=fp8", "precision: Input should be 'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_wrong_values_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe.parse({}, [override])


def test_share_of_a_process() -> None:
    recipe = Recipe(batch_size=16, accumulation=2)
    assert [recipe.share(processes) for processes in (1, 2, 8)] == [8, 4, 1]
    with pytest.raises(ConfigError, match=r"must be a multiple of 6\. Use 18"):
        recipe.share(3)


def test_only_what_changes_nothing_may_differ_when_continuing() -> None:
    recipe = Recipe()
    recipe.replace(workers=7, devices=2).check_continues(recipe)
    with pytest.raises(ConfigError, match="seed: was 0, now 1"):
        Recipe(seed=1).check_continues(recipe)
