"""Tiny checkpoints in the layout of the originals, and configs of CAT-Seg."""

from pathlib import Path

import pytest
from torch import Tensor

from tests.support.official import (
    byte_tokenizer_file,
    tiny_state,
)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_tokenizer_file(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return tiny_state()


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
