"""SCAN's recordings beside our method with the same weights."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.swin import SwinConfig
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.checkpoints.importing.clip_origins import SCAN, ClipSettings
from ahs_seg.checkpoints.importing.convert_clip import clip_config
from ahs_seg.checkpoints.importing.convert_scan import convert_scan
from ahs_seg.checkpoints.importing.key_rules import check_complete
from ahs_seg.methods.mask.scan.config import ScanConfig, SemanticConfig
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig
from ahs_seg.methods.mask.scan.objective import ScanLossConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.types import ClassText
from tests.parity.mask_recording import MaskRecording, mask_recording
from tests.support.builders import byte_tokenizer

RECORDED = EnsembleConfig(ratio=0.15)
PLAIN = SemanticConfig(dropout=0.0)
"""Training was recorded without dropout and drop path."""
TINY = ScanConfig(
    backbone=ClipConfig(source="recorded"),
    pixels=SwinConfig(source=None, dim=32, depths=(2, 2, 2, 2), heads=(2, 4, 8, 16), window=4, drop_path=0.0),
    semantic=PLAIN,
    ensemble=RECORDED,
    dim=64,
    heads=4,
    encoder_layers=2,
    decoder_layers=4,
    decoder_feedforward=128,
    class_dim=96,
    loss=ScanLossConfig(auxiliary=3),
)
BASE = ScanConfig(
    pixels=SwinConfig(source=None, drop_path=0.0),
    semantic=PLAIN,
    ensemble=RECORDED,
    loss=ScanLossConfig(auxiliary=9),
)
LARGE = BASE.replace(shifts=(1, 3, 5, 7, 9))
CONFIGS = {"scan_tiny": TINY, "scan_vitb": BASE, "scan_vitl": LARGE}


@dataclass
class ScanCase:
    """A recording beside our method with the same weights."""

    recording: MaskRecording
    method: ScanSegmenter
    ignored: dict[str, str]

    @cached_property
    def text(self) -> ClassText:
        """The recorded classes: the mean of 14 prompts each."""
        ids, ends = self.recording.tokens()
        with torch.no_grad():
            rows = F.normalize(self.method.backbone.encode_text(Tokens(ids, ends)), dim=-1)
        means = F.normalize(rows.unflatten(0, (len(self.recording.classes), -1)).mean(1), dim=-1)
        return self.method.prepare(means[:, None])

    @cached_property
    def image(self) -> Tensor:
        return self.recording.image("image/eval", 392, 500)

    def close(self, name: str, value: Tensor, tolerance: float = 1e-4) -> None:
        self.recording.close(name, value, tolerance)


def build_scan(name: str) -> ScanCase:
    source = mask_recording(name)
    conversion = convert_scan(source.state(constants=True))
    prefix = "backbone.model."
    clip = {key.removeprefix(prefix): value for key, value in conversion.state.items() if key.startswith(prefix)}
    tiny = source.config.get("tiny") or {}  # its heads are not 64 wide
    sizes = clip_config(clip, SCAN, ClipSettings(tiny.get("clip_heads"), tiny.get("text_heads")))
    with torch.device("meta"):
        backbone = ClipBackbone(ClipNetwork(sizes), byte_tokenizer(), resolution=224)
    method = CONFIGS[name].compose(backbone)
    check_complete(conversion.state, method.state_dict())
    method.load_state_dict(conversion.state, assign=True)
    trained = {key for key, value in method.named_parameters() if not key.startswith(("backbone.", "shifted."))}
    for key, value in method.named_parameters():
        value.requires_grad_(key in trained)
    return ScanCase(source, method.eval(), conversion.ignored)
