"""Small evaluations of drawn scenes."""

from __future__ import annotations

from ahs_seg.data.config import WorldData
from ahs_seg.evaluation.protocols import own_protocol
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.vocabulary.prompts import PromptConfig

WORLD = WorldData(scenes="test", count=5, names=20)

OWN = own_protocol(InferenceConfig(), PromptConfig())

SMALL = OWN.replace(name="small", inference=InferenceConfig(shortest_edge=48))
