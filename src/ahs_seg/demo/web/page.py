"""Layout and event handlers of the web page, built from gradio components."""

from __future__ import annotations

import json
import os
import tempfile
import time
from abc import ABCMeta
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads it while it is imported

import gradio as gr

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.demo.web.limits import LimitError
from ahs_seg.demo.web.session import SessionResult, Workbench
from ahs_seg.demo.web.viewer import asset, payload
from ahs_seg.errors import SampleError
from ahs_seg.output.formats import FORMATS, Format
from ahs_seg.output.formats.base import FormatError
from ahs_seg.vocabulary.vocabulary import VocabularyError

TITLE: Final = "AHS-Seg"
SYSTEM_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO_FONTS: Final = ("ui-monospace", "Menlo", "Consolas", "monospace")
KEPT_SECONDS: Final = 3600
"""Uploads, downloads and results older than this are deleted."""
KEPT_EXPORTS: Final = 32
EXPECTED: Final = (LimitError, VocabularyError, TextTooLongError, SampleError, FormatError)
"""Errors caused by visitors' input; their messages are shown on the page."""


class _Plain(type(gr.Image)):  # type: ignore[misc]  # gradio is untyped for mypy
    """Metaclass without gradio's side effect of writing an interface file beside the source file of each class."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> type:
        """Create the class as `ABCMeta` does."""
        return ABCMeta.__new__(cls, name, bases, members)


class PictureInput(gr.Image, metaclass=_Plain):  # type: ignore[misc]  # as above
    """Image input that passes on the path of the uploaded file; the file is opened only by `read_image`."""

    is_template = True  # gradio: rendered like its parent class

    def preprocess(self, payload: Any) -> str | None:  # as in gradio
        """Path of the uploaded file, or None."""
        return None if payload is None else payload.path

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> str | None:
        """Refuse URLs, so that the server downloads nothing; uploaded files are handled as by gradio."""
        if "://" in str(url_or_file_path):
            raise gr.Error("URLs are not downloaded; upload the image itself.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class Actions:
    """Event handlers of the components."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._exports: deque[tempfile.TemporaryDirectory[str]] = deque(maxlen=KEPT_EXPORTS)

    def segment(self, picture: str | None, words: str, model: str) -> tuple[SessionResult, str]:
        """Segment an image: class names, classes found with their pixel counts, and the label map as PNG, in JSON."""
        with shown(picture):
            if picture is None:
                raise LimitError("No image yet: drop one on the page, or choose an example.")
            answer = self.bench.segment(Path(picture), words, model)
            return answer, payload(answer)

    def probe(self, answer: SessionResult | None, event: gr.EventData) -> dict[str, Any]:
        """The highest class scores at the clicked pixel, as JSON."""
        if answer is None:
            return gr.skip()
        with shown():
            top = self.bench.scores_at(answer, event.y, event.x)
            return gr.update(scores=json.dumps({"x": event.x, "y": event.y, "top": top, "asked": time.monotonic()}))

    def export(self, answer: SessionResult | None, kind: Format) -> dict[str, Any]:
        """A download of the last result in an output format."""
        if answer is None:
            return gr.update(interactive=False)
        folder = tempfile.TemporaryDirectory(prefix="ahs-seg-")
        self._exports.append(folder)
        with shown():
            path = self.bench.export(answer, kind, Path(folder.name))
            return gr.update(value=str(path), label=f"Download {kind}", interactive=True)


@contextmanager
def shown(path: str | None = None) -> Iterator[None]:
    """Context that shows errors of visitors' input as messages on the page, without server paths."""
    try:
        yield
    except EXPECTED as error:
        text = str(error) if path is None else str(error).replace(path, Path(path).name)
        raise gr.Error(text, duration=15, print_exception=False) from None


def theme() -> gr.themes.Base:
    """Gradio theme with neutral colours and system fonts; nothing is loaded from other servers."""
    return gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=MONO_FONTS
    )


def build(bench: Workbench, examples: list[tuple[str, str]]) -> gr.Blocks:
    """Build the page for a workbench; `examples` are pairs of image file and class names."""
    actions = Actions(bench)
    kept = (KEPT_SECONDS, KEPT_SECONDS)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=kept) as page:
        gr.HTML(asset("head.html"))
        answer = gr.State(time_to_live=KEPT_SECONDS)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                picture, words, model, go = _inputs(bench)
                scenes = gr.Dataset(
                    components=[PictureInput(visible=False)],
                    samples=[[file] for file, _ in examples],
                    label="Try a drawn scene",
                    type="index",
                    elem_id="scenes",
                    visible=bool(examples),
                )
            with gr.Column(scale=5, min_width=320):
                viewer = gr.HTML(
                    html_template=asset("viewer.html"),
                    css_template=asset("viewer.css"),
                    js_on_load=asset("viewer.js"),
                    scores="",
                    elem_id="viewer",
                )
                with gr.Row(elem_id="downloads"):
                    kind = gr.Dropdown(list(FORMATS), container=False, elem_id="format", min_width=140, scale=0)
                    download = gr.DownloadButton("Download", elem_id="download", interactive=False, scale=0)
        asked = [picture, words, model]
        chosen = scenes.click(lambda index: examples[index], scenes, [picture, words], api_name=False)
        for done in (
            gr.on([go.click, words.submit], actions.segment, asked, [answer, viewer], api_name="segment"),
            chosen.then(actions.segment, asked, [answer, viewer], api_name=False),
        ):
            done.success(actions.export, [answer, kind], download, api_name=False, show_progress="hidden")
        kind.change(actions.export, [answer, kind], download, api_name="export", show_progress="hidden")
        viewer.probe(actions.probe, answer, viewer, api_name=False, show_progress="hidden")
    return page


def _inputs(bench: Workbench) -> tuple[gr.Image, gr.Textbox, gr.Dropdown, gr.Button]:
    limits = bench.limits
    picture = PictureInput(
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        label=f"Image, up to {limits.upload_mb} MB",
        height=260,
        elem_id="picture",
        buttons=[],
    )
    words = gr.Textbox(
        label="Classes",
        info="Names separated by commas, or one per line; or the name of a list, such as ade20k-150.",
        placeholder="cat, sofa, lamp",
        lines=3,
        max_lines=8,
        elem_id="words",
    )
    model = gr.Dropdown(bench.models, value=bench.models[0], label="Model", elem_id="model")
    return picture, words, model, gr.Button("Segment", variant="primary", elem_id="go")
