"""Original configs become ours, key by key; nothing in them is executed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ahs_seg.checkpoints.importing.convert_config import translate_config
from ahs_seg.checkpoints.importing.detectron2_yaml import read_detectron2
from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config
from ahs_seg.data.augment import Augmentation
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig
from ahs_seg.inference.windows import WholeImage
from ahs_seg.methods import CatSegConfig, HClipConfig
from ahs_seg.training.recipe import Recipe
from ahs_seg.tuners import Orthogonal
from ahs_seg.vocabulary.vocabulary import Vocabulary


def test_the_published_config_becomes_the_packaged_one(folder: Path) -> None:
    values: Any = translate_config(folder / "vitb.yaml").values
    packaged = Experiment.read(find_config("cat_seg_vitb"))
    assert CatSegConfig.parse(values["method"]) == packaged.method
    recipe = Recipe.parse(values["training"])
    optimizer = packaged.training.optimizer.replace(warmup_factor=1.0)  # of no warm-up steps
    assert recipe == packaged.training.replace(workers=8, optimizer=optimizer)
    assert Augmentation.parse(values["augmentation"]) == packaged.augmentation
    single = InferenceConfig(windows=WholeImage(pad_multiple=32), shortest_edge=640)
    assert InferenceConfig.parse(values["inference"]) == single


def test_overrides_as_the_originals_evaluation_gives_them(folder: Path) -> None:
    overrides = ["TEST.SLIDING_WINDOW=True", "MODEL.SEM_SEG_HEAD.POOLING_SIZES=[1,1]"]
    description = translate_config(folder / "vitb.yaml", overrides).description()
    assert description.inference == CAT_SEG_PROTOCOL.replace(options={})
    assert isinstance(description.method, CatSegConfig | HClipConfig)
    assert description.method.cost.class_pooling == 1
    assert description.trained_on == tuple(Vocabulary.known("coco-stuff-171").labels)


def test_other_values_reach_their_places(folder: Path) -> None:
    overrides = [
        "MODEL.SEM_SEG_HEAD.CLIP_FINETUNE=oft_both",
        "MODEL.SEM_SEG_HEAD.CLIP_PRETRAINED=ViT-L/14@336px",
        "INPUT.COLOR_AUG_SSD=False",
        "INPUT.CROP.ENABLED=False",
        "SOLVER.CLIP_GRADIENTS.ENABLED=False",
        "SOLVER.AMP.ENABLED=True",
        "SEED=3",
    ]
    values: Any = translate_config(folder / "vitb.yaml", overrides).values
    method = HClipConfig.parse(values["method"])
    assert isinstance(method.tuner, Orthogonal)
    assert (method.backbone.source, method.backbone.resolution) == ("openai/clip-vit-large-patch14-336", 336)
    assert values["augmentation"]["colour"] is None
    assert values["augmentation"]["crop"] is None
    assert values["training"]["optimizer"]["clip_norm"] is None
    assert (values["training"]["precision"], values["training"]["seed"]) == ("fp16", 3)


def test_where_a_config_is_silent_the_originals_defaults_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR}\nINPUT: {FORMAT: RGB}")
    translation = translate_config(tmp_path / "a.yaml")
    values: Any = translation.values
    assert values["method"]["cost"] == {"layers": 4, "class_pooling": 6}
    assert values["training"]["optimizer"]["lr"] == 0.001
    assert translation.mapped["SOLVER.BASE_LR"] == "training.optimizer.lr = 0.001 (the original's default)"


def test_every_key_has_its_fate(folder: Path) -> None:
    (folder / "more.yaml").write_text("_BASE_: vitb.yaml\nMODEL: {SWIN: {DEPTHS: [2, 2]}}\nINPUT: {COLOUR: 3}\n")
    translation = translate_config(folder / "more.yaml")
    assert set(read_detectron2(folder / "more.yaml")) == {
        key for key in [*translation.mapped, *translation.dropped] if "default)" not in translation.mapped.get(key, "")
    }
    assert translation.mapped["SOLVER.MAX_ITER"] == "training.steps = 80000"
    assert translation.mapped["DATASETS.TRAIN"] == "trained_on = the names of coco-stuff-171"
    assert translation.dropped["MODEL.SWIN.DEPTHS"] == "there is no backbone besides the CLIP"
    assert translation.dropped["INPUT.COLOUR"] == "not a key of CAT-Seg or H-CLIP"
    text = translation.to_yaml()
    assert yaml.safe_load(text) == translation.values
    assert "#   INPUT.COLOUR: not a key of CAT-Seg or H-CLIP\n" in text


def test_what_is_not_possible_is_named_all_at_once(folder: Path) -> None:
    overrides = [
        "MODEL.SEM_SEG_HEAD.PROMPT_DEPTH=3",
        "SOLVER.OPTIMIZER=SGD",
        "MODEL.SEM_SEG_HEAD.CLIP_PRETRAINED=ViT-G",
        "MODEL.SEM_SEG_HEAD.POOLING_SIZES=[1,2]",
    ]
    with pytest.raises(ConfigError) as caught:
        translate_config(folder / "vitb.yaml", overrides)
    message = str(caught.value)
    assert "SOLVER.OPTIMIZER: must be 'ADAMW' (given: 'SGD')" in message
    assert "PROMPT_DEPTH: must be 0 (given: 3)" in message
    assert "CLIP_PRETRAINED: must be one of ViT-B/16, ViT-L/14@336px, ViT-L/14 (given: 'ViT-G')" in message
    assert "POOLING_SIZES: must be two equal sizes (given: [1, 2])" in message


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("", {"SOLVER.LR_SCHEDULER_NAME", "INPUT.FORMAT"}),
        ("INPUT: {FORMAT: RGB, CROP: {ENABLED: True}}", {"SOLVER.LR_SCHEDULER_NAME", "INPUT.CROP.TYPE"}),
        (
            "SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR, CLIP_GRADIENTS: {ENABLED: True}}",
            {"INPUT.FORMAT", "SOLVER.CLIP_GRADIENTS.CLIP_TYPE"},
        ),
    ],
    ids=["neither crop nor clipping", "crop", "clipping"],
)
def test_a_default_that_is_not_supported_is_refused_as_if_it_were_written(
    tmp_path: Path, lines: str, names: set[str]
) -> None:
    """detectron2 would take another schedule, BGR images, crops of a relative size, and clip every value."""
    silent, written = tmp_path / "silent.yaml", tmp_path / "written.yaml"
    silent.write_text(f"MODEL: {{META_ARCHITECTURE: CATSeg}}\n{lines}")
    written.write_text(f"_BASE_: defaults.yaml\n{lines}")
    (tmp_path / "defaults.yaml").write_text(
        "SOLVER: {LR_SCHEDULER_NAME: WarmupMultiStepLR, CLIP_GRADIENTS: {CLIP_TYPE: value}}\n"
        "INPUT: {FORMAT: BGR, CROP: {TYPE: relative_range}}"
    )
    messages = []
    for path, origin in ((silent, "not set; the original's default"), (written, "given")):
        with pytest.raises(ConfigError) as caught:
            translate_config(path)
        faults = str(caught.value).splitlines()[1:]
        assert {line.split(":")[0].strip() for line in faults} == names
        messages.append([line.replace(origin, "") for line in faults])
    assert messages[0] == messages[1]
