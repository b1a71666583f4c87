"""Every kind by its `model_type`: classes that are imported when they are needed, keys that older files have."""

import subprocess
import sys

import pytest
import torch

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.kinds import KINDS, Kind
from ahs_seg.io.weight_files import in_memory
from tests.support.backbone_kinds import TINY_KINDS, tiny_backbone


def test_every_kind_has_a_small_one_for_tests() -> None:
    assert {tiny.model_type for tiny in TINY_KINDS.values()} == set(KINDS) - ({"tipsv2"} - set(TINY_KINDS))
    assert all(kind.backbone.kind == name for name, kind in KINDS.items())


@pytest.mark.parametrize("name", TINY_KINDS)
def test_marks_and_layers_are_keys_of_the_network(name: str) -> None:
    backbone = tiny_backbone(name)
    kind, keys = KINDS[backbone.kind], backbone.network_state().keys()
    assert set(kind.marks) <= keys
    assert [mark.partition(".")[0] for mark in kind.marks] == ["vision_model", "text_model"]
    depths = {tower: len({key[len(start) :].split(".")[0] for key in keys if key.startswith(start)})
              for tower, start in kind.layers.items()}  # fmt: skip
    assert depths == {"vision_model": 3, "text_model": 2}
    stored = in_memory(backbone.network_state())
    assert kind.own_weights(stored, backbone.model.config).keys() == keys
    assert kind.config_class().model_type == backbone.kind


def test_blocks_of_older_files_get_their_present_names() -> None:
    stored = in_memory({"text_model.roberta.encoder.layer.3.output.dense.weight": torch.ones(1)})
    found = KINDS["altclip"].own_weights(stored, None)
    assert list(found) == ["text_model.roberta.encoder.layers.3.output.dense.weight"]
    same = in_memory({"text_model.encoder.layer.3.x": torch.ones(1)})
    assert KINDS["chinese_clip"].own_weights(same, None) is same


def test_a_class_that_transformers_lacks_is_said_to_need_a_newer_one() -> None:
    clip = KINDS["clip"]
    future = Kind("a future model", "FutureModel", "FutureConfig", clip.backbone, clip.marks, clip.tokenizer)
    with pytest.raises(BackboneError, match=r"transformers [\d.]+ has no FutureConfig.*install a newer version"):
        future.config_class()
    with pytest.raises(BackboneError, match="has no FutureModel"):
        future.network_class()


def test_the_networks_of_transformers_are_imported_when_one_is_built() -> None:
    """Each takes seconds; a CLIP, which nearly everyone uses, needs none of them."""
    program = (
        "import sys; from ahs_seg import ClipConfig, Segmenter, ZeroShotConfig; "
        "Segmenter(ZeroShotConfig(backbone=ClipConfig(source='tiny')).build()).text_features('cat, dog'); "
        "print(sorted(m for m in sys.modules if 'transformers.models.' in m and '.modeling_' in m "
        "and not m.endswith('modeling_auto')), 'transformers.modeling_utils' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split("\n")[0] == "[] False False"
