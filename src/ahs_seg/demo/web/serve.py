"""Serves the web page: finds its models, and makes no connections to other servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from ahs_seg.backbones.clip_config import TINY
from ahs_seg.checkpoints.exporting.load import place_of
from ahs_seg.checkpoints.training_free import PREFIX, clip_of
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.demo.web.app import application
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.server import running
from ahs_seg.demo.web.session import Workbench
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.extras import Runtime
from ahs_seg.io.precision import check_precision, find_dtype
from ahs_seg.segmenter import Segmenter

LOCALHOST: Final = "127.0.0.1"
PORT: Final = 7860
BASELINE: Final = "drawn scenes, no training"


def find_models(
    sources: Sequence[str],
    *,
    device: str = "auto",
    dtype: str = "fp32",
    cache: TextCache | None = None,
    runtime: Runtime = "torch",
) -> dict[str, Callable[[], Segmenter]]:
    """Loaders of the models to serve, by display name; sources are model directories, known checkpoints or hub names.

    `device`, `dtype`, `cache` and `runtime` are those of `Segmenter.from_pretrained`.
    Without sources: the models of a quickstart in the current folder, and the baseline on the packaged tiny CLIP.

    Raises:
        CheckpointError: a model cannot be found.
        PrecisionError: there is no such type, or the device cannot compute in it.
    """
    check_precision(find_dtype(dtype), place_of(runtime, device))
    load = partial(Segmenter.from_pretrained, device=device, dtype=dtype, cache=cache)
    found: dict[str, Callable[[], Segmenter]] = {}
    for source in sources or sorted(map(str, Path("quickstart").glob("run-*/model"))):
        place = source if clip_of(source) is not None else find_model(source)
        found[_name(source, found)] = partial(load, place, runtime=runtime)
    return found if sources else found | {BASELINE: partial(load, PREFIX + TINY)}


@contextmanager
def serving(
    bench: Workbench, *, host: str = LOCALHOST, port: int = PORT, allowed_hosts: Sequence[str] = ()
) -> Iterator[str]:
    """Context that serves the page and yields its address; `allowed_hosts` are further names under which it is opened.

    Raises:
        ServeError: the port is in use.
    """
    with (
        application(bench, Hosts(host, allowed_hosts)) as page,
        running(page.gate, host=host, port=port, end_streams=page.queue.stop) as address,
    ):
        yield address


def _name(source: str, taken: dict[str, Callable[[], Segmenter]]) -> str:
    """Display name of a model: `cat-seg-vitb`, `owner/name`, or the last folder of a path if that is unique."""
    parts = Path(source).parts
    if not Path(source).is_dir():
        return source
    name = parts[-2] if parts[-1] == "model" and len(parts) > 1 else parts[-1]
    return name if name not in taken else source
