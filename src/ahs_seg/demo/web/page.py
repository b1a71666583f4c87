"""Layout and event handlers of the web page, built from gradio components."""

from __future__ import annotations

import json
import logging
import os
import time
from abc import ABCMeta
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads it while it is imported

import gradio as gr

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.demo.web.feature_cache import ByteLRU
from ahs_seg.demo.web.limits import LimitError
from ahs_seg.demo.web.session import SessionResult, Workbench
from ahs_seg.demo.web.spool import GONE, Spool
from ahs_seg.demo.web.viewer import asset, payload
from ahs_seg.errors import SampleError
from ahs_seg.io.failures import reason_of
from ahs_seg.io.outside_text import on_one_line
from ahs_seg.output.formats import FORMATS, Format
from ahs_seg.output.formats.base import FormatError
from ahs_seg.vocabulary.vocabulary import VocabularyError

TITLE: Final = "AHS-Seg"
SYSTEM_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO_FONTS: Final = ("ui-monospace", "Menlo", "Consolas", "monospace")
RESULT_BYTES: Final = 2**30
"""Results of all sessions, kept for clicks and downloads; each session keeps its last one."""
FORGOTTEN: Final = "This result is no longer kept; press Segment again."
EXPECTED: Final = (LimitError, VocabularyError, TextTooLongError, SampleError, FormatError)
"""Errors caused by visitors' input; their messages are shown on the page."""

logger = logging.getLogger(__name__)


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


class Page(gr.Blocks):  # type: ignore[misc]  # gradio is untyped for mypy
    """Page on which any exception costs the one call that it belongs to: a line of the log, and an answer."""

    async def process_api(self, *inputs: Any, **named: Any) -> dict[str, Any]:  # those of gradio
        """Answer a call."""
        try:
            answer: dict[str, Any] = await super().process_api(*inputs, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:  # noqa: BLE001 - any error of a call is that of this call only
            raise unexpected(error) from None
        return answer


class Actions:
    """Event handlers of the components."""

    def __init__(self, bench: Workbench, spool: Spool) -> None:
        self.bench = bench
        self.spool = spool
        self.results = ByteLRU(memory_bytes=RESULT_BYTES)

    def segment(self, picture: str | None, words: str, model: str, request: gr.Request) -> str:
        """Segment an image: class names, classes found with their pixel counts, and the label map as PNG, in JSON."""
        with shown(picture):
            if picture is None:
                raise LimitError("No image yet: drop one on the page, or choose an example.")
            answer = self.bench.segment(Path(picture), words, model)
            self.results.keep((request.session_hash,), answer)
            return payload(answer)

    def probe(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """The highest class scores at the clicked pixel, as JSON."""
        answer = self._result(request)
        if answer is None:
            return gr.skip()
        with shown():
            x, y = event._data.get("x"), event._data.get("y")
            if not (isinstance(x, int) and isinstance(y, int)):
                raise LimitError("A click is a pair of whole numbers, x and y.")
            top = self.bench.scores_at(answer, y, x)
            return gr.update(scores=json.dumps({"x": x, "y": y, "top": top, "asked": time.monotonic()}))

    def export(self, kind: Format, request: gr.Request) -> dict[str, Any]:
        """A download of the last result in an output format."""
        answer = self._result(request)
        if answer is None:
            return gr.update(interactive=False)
        client = request.client.host if request.client else ""
        with shown(), self.spool.folder(client, session=request.session_hash) as folder:
            if not answer.source.is_file():
                raise LimitError(GONE)
            path = self.bench.export(answer, kind, folder)
        return gr.update(value=str(path), label=f"Download {kind}", interactive=True)

    def forget(self, session: str) -> None:
        """Free the result and the files of a session."""
        self.results.drop((session,))
        self.spool.release(session)

    def _result(self, request: gr.Request) -> SessionResult | None:
        answer = self.results.find((request.session_hash,))
        return answer if isinstance(answer, SessionResult) else None


@contextmanager
def shown(path: str | None = None) -> Iterator[None]:
    """Context that shows every error of a request on the page, without server paths; it ends that request only."""
    try:
        yield
    except EXPECTED as error:
        raise _message(error, path, reason_of(error)) from None
    except Exception as error:  # noqa: BLE001 - any error of an image is that of this image only
        raise unexpected(error, path) from None


def unexpected(error: Exception, path: str | None = None) -> gr.Error:
    """The message for an error that nobody foresaw, with the image that it happened to; the log has it in one line."""
    logger.warning("a request failed: %s", on_one_line(reason_of(error, path)))
    return _message(error, path, reason_of(error, path))


def _message(error: Exception, path: str | None, text: str) -> gr.Error:
    """The message with the names of files in place of their paths on the server."""
    for known in (path, getattr(error, "filename", None)):
        if known is not None:
            text = text.replace(str(known), Path(str(known)).name)
    return gr.Error(text, duration=15, print_exception=False)


def theme() -> gr.themes.Base:
    """Gradio theme with neutral colours and system fonts; nothing is loaded from other servers."""
    return gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=MONO_FONTS
    )


def build(actions: Actions, examples: list[tuple[str, str]]) -> Page:
    """Build the page; `examples` are pairs of image file and class names."""
    with Page(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(asset("head.html"))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                picture, words, model, go = _inputs(actions.bench)
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
            gr.on([go.click, words.submit], actions.segment, asked, viewer, api_name="segment"),
            chosen.then(actions.segment, asked, viewer, api_name=False),
        ):
            done.success(actions.export, kind, download, api_name=False, show_progress="hidden")
        kind.change(actions.export, kind, download, api_name="export", show_progress="hidden")
        viewer.probe(actions.probe, None, viewer, api_name=False, show_progress="hidden")
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
