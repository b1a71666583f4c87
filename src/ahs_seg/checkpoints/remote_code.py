"""Code and config entries by which transformers loads a model repository with `trust_remote_code=True`.

The code only imports this package, so that the repository stays right for later versions of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from ahs_seg.documents import read_mapping
from ahs_seg.io.atomic import write_text

MODULE: Final = "modeling_ahs_seg"
CODE_FILE: Final = f"{MODULE}.py"
CODE: Final = '''"""Loads this model with transformers. It needs the package ahs-seg, which has all of the code."""

from ahs_seg import AhsSegModel, AhsSegPipeline, AhsSegProcessor

AhsSegConfig = AhsSegModel.config_class

__all__ = ["AhsSegConfig", "AhsSegModel", "AhsSegPipeline", "AhsSegProcessor"]
'''
ENTRIES: Final[dict[str, Any]] = {
    "auto_map": {
        "AutoConfig": f"{MODULE}.AhsSegConfig",
        "AutoModel": f"{MODULE}.AhsSegModel",
        "AutoProcessor": f"{MODULE}.AhsSegProcessor",
    },
    "custom_pipelines": {
        "zero-shot-image-segmentation": {"impl": f"{MODULE}.AhsSegPipeline", "pt": ["AutoModel"], "type": "multimodal"}
    },
}
"""What `config.json` of a repository has besides the description of the model."""


def write_remote_code(config: Path) -> None:
    """Write the code beside the `config.json` of a model directory and name its classes there; other keys stay."""
    write_text(config.with_name(CODE_FILE), CODE)
    write_text(config, json.dumps({**read_mapping(config), **ENTRIES}, ensure_ascii=False, indent=2))
