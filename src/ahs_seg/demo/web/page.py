"""Layout of the web page, built from gradio components."""

from __future__ import annotations

import json
import os
from abc import ABCMeta
from typing import Any, Final

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads it while it is imported

import gradio as gr

from ahs_seg.demo.web.actions import Actions, unexpected
from ahs_seg.demo.web.calls import OPTIONAL
from ahs_seg.demo.web.examples import Example
from ahs_seg.demo.web.session import DOWNLOADS, Workbench
from ahs_seg.demo.web.viewer import asset

TITLE: Final = "AHS-Seg"
SYSTEM_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO_FONTS: Final = ("ui-monospace", "Menlo", "Consolas", "monospace")
MODEL: Final = "model"
"""The queue of all requests that a model answers: one at a time."""
QUIET: Final = ("block_info", "block_label", "block_title")


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


def theme() -> gr.themes.Base:
    """Gradio theme with neutral colours and system fonts; nothing is loaded from other servers.

    Quiet texts and the button have a contrast of at least 4.5 with what they stand on (WCAG 2.2, AA).
    """
    plain = gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=MONO_FONTS
    )
    quiet = {f"{name}_text_color{dark}" for name in QUIET for dark in ("", "_dark")}
    shades = {name: "*neutral_300" if name.endswith("_dark") else "*neutral_600" for name in quiet}
    return plain.set(
        **shades,
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


def build(actions: Actions, examples: list[Example]) -> Page:
    """Build the page."""
    with Page(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(asset("head.html"))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                asked, go = _inputs(actions.bench)
                scenes = _examples(examples)
            with gr.Column(scale=5, min_width=320):
                viewer = gr.HTML(
                    html_template=asset("viewer.html"),
                    css_template=asset("viewer.css"),
                    js_on_load=asset("viewer.js"),
                    scores="",
                    elem_id="viewer",
                )
                with gr.Row(elem_id="downloads"):
                    kind = gr.Dropdown(
                        list(DOWNLOADS),
                        value="overlay",
                        label="Format",
                        container=False,
                        elem_id="format",
                        min_width=140,
                        scale=0,
                    )
                    download = gr.DownloadButton("Download", elem_id="download", interactive=False, scale=0)
        begin = {"js": tell("asked"), "trigger_mode": "always_last", "concurrency_id": MODEL}
        chosen = scenes.click(
            lambda index: (examples[index].file, examples[index].words), scenes, asked[:2], api_name=False
        )
        for done in (
            go.click(actions.segment, asked, viewer, api_name="segment", **begin),
            chosen.then(actions.segment, asked, viewer, api_name=False, **begin),
        ):
            done.success(actions.export, kind, download, api_name=False, show_progress="hidden")
            done.failure(None, js=tell("failed"), api_name=False)
        kind.change(actions.export, kind, download, api_name="export", show_progress="hidden")
        viewer.probe(actions.probe, None, viewer, api_name=False, show_progress="hidden", concurrency_id=MODEL)
        viewer.choose(actions.choose, kind, download, api_name=False, show_progress="hidden")
        gr.on([one.change for one in asked], None, asked, js=tell("form"), api_name=False)
        restore = asset("restore.js").replace("MODELS", json.dumps(actions.bench.models))
        page.load(None, asked, asked, js=restore, api_name=False)
    return page


def tell(event: str) -> str:
    """JavaScript that passes on values of components, after it has told them to `viewer.js` as an event."""
    return f"(...values) => {{ dispatchEvent(new CustomEvent('ahs-{event}', {{ detail: values }})); return values; }}"


def _inputs(bench: Workbench) -> tuple[list[Any], gr.Button]:
    """The form: the inputs of `Actions.segment` in their order, and its button."""
    limits = bench.limits
    picture = PictureInput(
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        label=f"Image, up to {limits.upload_mb} MB",
        height=220,
        elem_id="picture",
        buttons=[],
    )
    words = gr.Textbox(
        label="Classes",
        info="Names separated by commas, or one per line; or the name of a list, such as ade20k-150. Enter segments, "
        "Shift+Enter begins a line.",
        placeholder="cat, sofa, lamp",
        lines=3,
        max_lines=8,
        elem_id="words",
    )
    model = gr.Dropdown(bench.models, value=bench.models[0], label="Model", elem_id="model")
    beside = gr.Dropdown(
        bench.models,
        value=[],
        multiselect=True,
        label="Side by side with",
        elem_id="beside",
        elem_classes=OPTIONAL,
        visible=len(bench.models) > 1,
    )
    background, unknown = _options()
    go = gr.Button("Segment", variant="primary", elem_id="go")
    return [picture, words, model, beside, background, unknown], go


def _options() -> tuple[gr.Textbox, gr.Slider]:
    with gr.Accordion("Background and unknown pixels", open=False, elem_id="more"):
        background = gr.Textbox(
            value="",
            label="Background",
            info="Names of everything else, which become one class.",
            placeholder="wall, floor",
            elem_id="background",
            elem_classes=OPTIONAL,
        )
        unknown = gr.Slider(
            0,
            1,
            value=0,
            step=0.01,
            label="Unknown below",
            info="Pixels with a confidence below this get no class; 0 gives every pixel one.",
            elem_id="unknown",
            elem_classes=OPTIONAL,
            buttons=[],
        )
    return background, unknown


def _examples(examples: list[Example]) -> gr.Dataset:
    gallery = gr.Dataset(
        components=[PictureInput(visible=False)],
        samples=[[one.file] for one in examples],
        label="Examples",
        type="index",
        elem_id="scenes",
        visible=bool(examples),
    )
    gr.HTML("".join(f"<p class='credit'>{one.credit}</p>" for one in examples if one.credit))
    return gallery
