"""Server of the web page: finds its models, draws its examples, and makes no connections to other servers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web.limits import MEGA, ServeError
from ahs_seg.demo.web.page import build, theme
from ahs_seg.demo.web.session import Workbench
from ahs_seg.demo.web.viewer import asset
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE

LOCALHOST: Final = "127.0.0.1"
PORT: Final = 7860
BASELINE: Final = "drawn scenes, no training"
EXAMPLES: Final = 3


def find_models(sources: Sequence[str]) -> dict[str, Callable[[], Segmenter]]:
    """Loaders of the models to serve, by display name; sources are model directories, known checkpoints or hub names.

    Without sources: the models of a quickstart in the current folder, and the baseline on the packaged tiny CLIP.

    Raises:
        CheckpointError: a model cannot be found.
    """
    found: dict[str, Callable[[], Segmenter]] = {}
    for source in sources or sorted(map(str, Path("quickstart").glob("run-*/model"))):
        found[_name(source, found)] = partial(Segmenter.from_pretrained, find_model(source))
    return found if sources else found | {BASELINE: _baseline}


def draw_examples(folder: Path) -> list[tuple[str, str]]:
    """Write drawn scenes to a folder; returns pairs of image path and class names, some of them not in the image."""
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


@contextmanager
def serving(bench: Workbench, *, host: str = LOCALHOST, port: int = PORT) -> Iterator[str]:
    """Context that serves the page and yields its address.

    All settings that gradio would read from `GRADIO_*` variables and that could expose the page are set explicitly.

    Raises:
        ServeError: the port is in use.
    """
    with tempfile.TemporaryDirectory(prefix="ahs-seg-") as folder:
        page = build(bench, draw_examples(Path(folder)))
        page.queue(max_size=bench.limits.queue, default_concurrency_limit=1)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                root_path="",
                share=False,
                inbrowser=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=bench.limits.upload_mb * MEGA,
                show_error=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                enable_monitoring=False,
                run_history=False,
                footer_links=["api"],
                allowed_paths=[folder],
                blocked_paths=[],
                theme=theme(),
                css=asset("page.css"),
            )
        except OSError as error:
            raise ServeError(f"port {port} of {host} cannot be used ({error}); choose another with --port") from None
        try:
            yield address
        finally:
            page.close(verbose=False)


def _name(source: str, taken: dict[str, Callable[[], Segmenter]]) -> str:
    """Display name of a model: `cat-seg-vitb`, `owner/name`, or the last folder of a path if that is unique."""
    parts = Path(source).parts
    if not Path(source).is_dir():
        return source
    name = parts[-2] if parts[-1] == "model" and len(parts) > 1 else parts[-1]
    return name if name not in taken else source


def _baseline() -> Segmenter:
    return Segmenter(ZeroShotConfig(backbone=ClipConfig(source=TINY)).build())
