"""Starting the page: its models, its examples, and a server that speaks to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ahs_seg.backbones.config import TINY, ClipConfig
from ahs_seg.checkpoints.known import find_model
from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web.page import build, theme
from ahs_seg.demo.web.viewer import asset
from ahs_seg.demo.web.workbench import Workbench
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE

LOCALHOST: Final = "127.0.0.1"
PORT: Final = 7860
BASELINE: Final = "drawn scenes, no training"
EXAMPLES: Final = 4


def find_models(sources: Sequence[str]) -> dict[str, Callable[[], Segmenter]]:
    """What to serve by name: model directories, known checkpoints, or names on the hub.

    Without any, the models of a quickstart in the current folder, and the baseline on the packaged tiny CLIP.

    Raises:
        CheckpointError: one of them cannot be found.
    """
    found: dict[str, Callable[[], Segmenter]] = {}
    for source in sources or sorted(map(str, Path("quickstart").glob("run-*/model"))):
        found[_name(source, found)] = partial(Segmenter.from_pretrained, find_model(source))
    return found if sources else found | {BASELINE: _baseline}


def draw_examples(folder: Path) -> list[tuple[str, str]]:
    """Pictures of drawn scenes, written to a folder, each with words for what is in it and for what is not."""
    scenes = WorldDataset(TEST_SEED, EXAMPLES, names=150)
    labels = scenes.vocabulary.labels
    examples = []
    for index in range(EXAMPLES):
        sample = scenes[index]
        present = [labels[label] for label in np.unique(sample.labels[sample.labels != IGNORE])]
        absent = [name for name in labels[index :: len(labels) // 3] if name not in present][:2]
        path = folder / f"{sample.name}.png"
        Image.fromarray(sample.image).save(path)
        examples.append((str(path), ", ".join([*present, *absent])))
    return examples


def launch(bench: Workbench, examples: Path, *, host: str = LOCALHOST, port: int = PORT, block: bool = True) -> str:
    """Serve the page; gives its address. With `block` it returns when the server is stopped (Ctrl-C).

    Everything that gradio would read from `GRADIO_*` variables and could open the page to others is set here.
    """
    page = build(bench, draw_examples(examples))
    page.queue(max_size=bench.limits.queue, default_concurrency_limit=1)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=not block,
        max_file_size=bench.limits.upload_mb * 1_000_000,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        allowed_paths=[str(examples)],
        blocked_paths=[],
        theme=theme(),
        css=asset("page.css"),
    )
    return address


def _name(source: str, taken: dict[str, Callable[[], Segmenter]]) -> str:
    """What visitors read: `cat-seg-vitb`, `owner/name`, or the last folders of a path that tell it from others."""
    parts = Path(source).parts
    if not Path(source).is_dir():
        return source
    name = parts[-2] if parts[-1] == "model" and len(parts) > 1 else parts[-1]
    return name if name not in taken else source


def _baseline() -> Segmenter:
    return Segmenter(ZeroShotConfig(backbone=ClipConfig(source=TINY)).build())
