"""Original configs become ours, key by key; nothing in them is executed."""

from pathlib import Path

import pytest
import yaml

from ahs_seg.checkpoints.importing.convert_config import translate_config
from ahs_seg.checkpoints.importing.detectron2_yaml import Tagged, read_detectron2
from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config
from ahs_seg.data.augment import Augmentation
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig, WholeImage
from ahs_seg.methods import CatSegConfig, HClipConfig
from ahs_seg.training.recipe import Recipe
from ahs_seg.tuners import Orthogonal
from ahs_seg.vocabulary.vocabulary import Vocabulary

# The values of CAT-Seg's published configs (vitb_384.yaml on config.yaml), written as detectron2 writes them.
BASE = """
MODEL:
  META_ARCHITECTURE: "CATSeg"
  SEM_SEG_HEAD:
    NUM_CLASSES: 171
    TRAIN_CLASS_JSON: "datasets/coco.json"
    CLIP_PRETRAINED: "ViT-L/14@336px"
    NUM_LAYERS: 4
    POOLING_SIZES: [6, 6]
    FEATURE_RESOLUTION: [24, 24]
    DECODER_DIMS: [64, 32]
    CLIP_FINETUNE: "attention"
  PROMPT_ENSEMBLE_TYPE: "imagenet"
DATASETS:
  TRAIN: ("coco_2017_train_stuff_all_sem_seg",)
  TEST: ("ade20k_150_test_sem_seg",)
SOLVER:
  IMS_PER_BATCH: 4
  BASE_LR: 0.0002
  MAX_ITER: 80000
  WARMUP_FACTOR: 1.0
  WARMUP_ITERS: 0
  WEIGHT_DECAY: 0.0001
  OPTIMIZER: "ADAMW"
  LR_SCHEDULER_NAME: "WarmupCosineLR"
  CLIP_MULTIPLIER: 0.01
  CLIP_GRADIENTS: {ENABLED: True, CLIP_TYPE: "full_model", CLIP_VALUE: 0.01, NORM_TYPE: 2.0}
INPUT:
  MIN_SIZE_TRAIN: (384, )
  MIN_SIZE_TEST: 640
  MAX_SIZE_TEST: 2560
  CROP:
    ENABLED: True
    TYPE: "absolute"
    SIZE: (384, 384)
    SINGLE_CATEGORY_MAX_AREA: 1.0
  COLOR_AUG_SSD: True
  FORMAT: "RGB"
TEST:
  EVAL_PERIOD: 5000
  SLIDING_WINDOW: False
DATALOADER:
  NUM_WORKERS: 8
VERSION: 2
"""
VITB = """
_BASE_: config.yaml
MODEL:
  SEM_SEG_HEAD:
    CLIP_PRETRAINED: "ViT-B/16"
    TEXT_GUIDANCE_DIM: 512
    NUM_LAYERS: 2
    POOLING_SIZES: [2, 2]
  PROMPT_ENSEMBLE_TYPE: "single"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(BASE)
    (tmp_path / "vitb.yaml").write_text(VITB)
    return tmp_path


def test_the_published_config_becomes_the_packaged_one(folder: Path) -> None:
    values = translate_config(folder / "vitb.yaml").values
    packaged = Experiment.read(find_config("cat_seg_vitb"))
    assert CatSegConfig.parse(values["method"]) == packaged.method
    recipe = Recipe.parse(values["training"])
    optimizer = packaged.training.optimizer.model_copy(update={"warmup_factor": 1.0})  # of no warm-up steps
    assert recipe == packaged.training.model_copy(update={"workers": 8, "optimizer": optimizer})
    assert Augmentation.parse(values["augmentation"]) == packaged.augmentation
    single = InferenceConfig(windows=WholeImage(pad_multiple=32), shortest_edge=640)
    assert InferenceConfig.parse(values["inference"]) == single


def test_overrides_as_the_originals_evaluation_gives_them(folder: Path) -> None:
    overrides = ["TEST.SLIDING_WINDOW=True", "MODEL.SEM_SEG_HEAD.POOLING_SIZES=[1,1]"]
    description = translate_config(folder / "vitb.yaml", overrides).description()
    assert description.inference == CAT_SEG_PROTOCOL.model_copy(update={"options": {}})
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
    values = translate_config(folder / "vitb.yaml", overrides).values
    method = HClipConfig.parse(values["method"])
    assert isinstance(method.tuner, Orthogonal)
    assert (method.backbone.source, method.backbone.resolution) == ("openai/clip-vit-large-patch14-336", 336)
    assert values["augmentation"]["colour"] is None
    assert values["augmentation"]["crop"] is None
    assert values["training"]["optimizer"]["clip_norm"] is None
    assert (values["training"]["precision"], values["training"]["seed"]) == ("fp16", 3)


def test_where_a_config_is_silent_the_originals_defaults_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("MODEL: {META_ARCHITECTURE: CATSeg}")
    translation = translate_config(tmp_path / "a.yaml")
    assert translation.values["method"]["cost"] == {"layers": 4, "class_pooling": 6}
    assert translation.values["training"]["optimizer"]["lr"] == 0.001
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
    assert translation.dropped["INPUT.COLOUR"] == "not a key that CAT-Seg or H-CLIP read"
    text = translation.to_yaml()
    assert yaml.safe_load(text) == translation.values
    assert "#   INPUT.COLOUR: not a key that CAT-Seg or H-CLIP read\n" in text


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


def test_tags_are_kept_and_never_executed(folder: Path) -> None:
    victim = folder / "made"
    text = f"""
_BASE_: vitb.yaml
INPUT:
  MIN_SIZE_TRAIN: !!python/object/apply:os.mkdir ["{victim}"]
  MAX_SIZE_TRAIN: !!python/tuple [1, 2]
SOLVER:
  STEPS: !other {{a: 1}}
"""
    (folder / "evil.yaml").write_text(text)
    values = read_detectron2(folder / "evil.yaml")
    assert values["INPUT.MIN_SIZE_TRAIN"] == Tagged("!!python/object/apply:os.mkdir")
    assert values["INPUT.MAX_SIZE_TRAIN"] == [1, 2]
    translation = translate_config(folder / "evil.yaml")
    assert (
        "would run code (!!python/object/apply:os.mkdir); it was not run" in translation.dropped["INPUT.MIN_SIZE_TRAIN"]
    )
    assert not victim.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_BASE_: nowhere.yaml", r"nowhere\.yaml, the base of .*a\.yaml, cannot be read"),
        ("_BASE_: a.yaml", r"its bases form a circle: a\.yaml -> a\.yaml"),
        ("A: &x [1]\nB: *x", r"aliases \(\*name\) are not read"),
        ("[1, 2]", "holds a list"),
        ("A: [", "not plain yaml"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_detectron2(tmp_path / "a.yaml")


def test_several_bases_and_literals(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("A:\n  B: 1\n  C: (1, 2)\n  D: (x\n")
    (tmp_path / "two.yaml").write_text("A: {B: 2}\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text('_BASE_: ["../one.yaml", "../two.yaml"]\nA: {E: "[1.5, None]"}\n')
    assert read_detectron2(tmp_path / "sub" / "a.yaml", ["A.F=hello"]) == {
        "A.B": 2,
        "A.C": [1, 2],
        "A.D": "(x",
        "A.E": [1.5, None],
        "A.F": "hello",
    }
    with pytest.raises(ConfigError, match=r"not of the form KEY\.SUB=value"):
        read_detectron2(tmp_path / "one.yaml", ["A.F"])
