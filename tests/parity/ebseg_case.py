"""EBSeg's recordings beside our method with the same weights."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.checkpoints.importing.clip_origins import OPENAI, ClipSettings
from ahs_seg.checkpoints.importing.convert_clip import clip_config
from ahs_seg.checkpoints.importing.convert_ebseg import convert_ebseg
from ahs_seg.checkpoints.importing.key_rules import check_complete
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.types import ClassText
from tests.parity.mask_recording import MaskRecording, mask_recording
from tests.support.builders import byte_tokenizer

TINY = EBSegConfig(
    backbone=ClipConfig(source="recorded"),
    pixels=SamConfig(source=None, dim=48, depth=8, heads=4, global_blocks=(1, 3, 5, 7)),
    queries=20,
    dim=64,
    heads=4,
    encoder_layers=2,
    encoder_feedforward=1024,
    decoder_layers=3,
    decoder_feedforward=128,
)
BASE = EBSegConfig(pixels=SamConfig(source=None))
LARGE = EBSegConfig(
    pixels=SamConfig(source=None), clip_scale=0.7, recognition_blocks=6, alpha=0.12, beta=0.4, gamma=0.6
)
CONFIGS = {"ebseg_tiny": TINY, "ebseg_vitb": BASE, "ebseg_vitl": LARGE}


@dataclass
class EBSegCase:
    """A recording beside our method with the same weights."""

    recording: MaskRecording
    method: EBSegSegmenter
    ignored: dict[str, str]

    def text(self) -> ClassText:
        """The recorded classes: the mean of 14 prompts each, with the map of overlapping classes."""
        ids, ends = self.recording.tokens()
        rows = F.normalize(self.method.backbone.encode_text(Tokens(ids, ends)), dim=-1)
        means = F.normalize(rows.unflatten(0, (len(self.recording.classes), -1)).mean(1), dim=-1)
        return self.method.prepare(means[:, None], torch.tensor(self.recording.manifest["overlap_map"]).bool())

    def close(self, name: str, value: Tensor, tolerance: float = 1e-4) -> None:
        self.recording.close(name, value, tolerance)


def build_ebseg(name: str) -> EBSegCase:
    source = mask_recording(name)
    conversion = convert_ebseg(source.state(constants=True))
    prefix = "backbone.model."
    clip = {key.removeprefix(prefix): value for key, value in conversion.state.items() if key.startswith(prefix)}
    tiny = source.config.get("tiny") or {}  # its heads are not 64 wide
    sizes = clip_config(clip, OPENAI, ClipSettings(tiny.get("clip_heads"), tiny.get("text_heads")))
    with torch.device("meta"):
        model = ClipNetwork(sizes)
        backbone = ClipBackbone(model, byte_tokenizer(), resolution=model.config.vision_config.image_size)
        method = CONFIGS[name].compose(backbone)
    check_complete(conversion.state, method.state_dict())
    method.load_state_dict(conversion.state, assign=True)
    return EBSegCase(source, method.eval(), conversion.ignored)
