"""Event handlers of the page's components; every error of a request is shown on the page and ends that request only."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import gradio as gr

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.demo.web.feature_cache import ByteLRU
from ahs_seg.demo.web.history import PIXEL_BYTES, TEXT_BYTES, History
from ahs_seg.demo.web.limits import LimitError
from ahs_seg.demo.web.session import SessionResult, Workbench
from ahs_seg.demo.web.spool import GONE, Spool
from ahs_seg.demo.web.viewer import payload
from ahs_seg.errors import SampleError
from ahs_seg.io.failures import reason_of
from ahs_seg.io.outside_text import on_one_line
from ahs_seg.output.formats import Format
from ahs_seg.output.formats.base import FormatError
from ahs_seg.vocabulary.vocabulary import VocabularyError

RESULT_BYTES: Final = 2**30
"""Results of all sessions, kept for clicks and downloads; more if the largest request needs it."""
BESIDE: Final = 3
"""Models of a request besides its own."""
EXPECTED: Final = (LimitError, VocabularyError, TextTooLongError, SampleError, FormatError)
"""Errors caused by visitors' input; their messages are shown on the page."""
TOAST_SECONDS: Final = 10

logger = logging.getLogger(__name__)


class Actions:
    """Event handlers of the components."""

    def __init__(self, bench: Workbench, spool: Spool) -> None:
        self.bench = bench
        self.spool = spool
        self.results = ByteLRU(memory_bytes=results_bytes(bench.limits.pixels))

    def segment(  # the inputs of the form
        self,
        picture: str | None,
        words: str,
        model: str,
        beside: Sequence[str],
        background: str,
        unknown_below: float | int,
        request: gr.Request,
    ) -> str:
        """Segment an image: class names, classes found with their pixel counts, and the label map as PNG, in JSON.

        The models in `beside` answer the same request, under the key `beside`.
        """
        with shown(picture):
            if picture is None:
                raise LimitError("No image yet: drop one on the page, or choose an example.")
            others = [one for one in dict.fromkeys(beside) if one != model]
            if len(others) > BESIDE:
                raise LimitError(f"{len(others)} models beside {model!r}; choose at most {BESIDE}.")

            def answer_of(name: str) -> SessionResult:
                return self.bench.segment(
                    Path(picture), words, name, background=background, unknown_below=float(unknown_below)
                )

            answers, failed = [answer_of(model)], {}
            for other in others:
                try:
                    answers.append(answer_of(other))
                except EXPECTED as error:  # the others have answered
                    failed[other] = without_paths(error, picture, reason_of(error))
            self._keep(request, self._history(request).with_new(tuple(answers)))
            return payload(answers[0], beside=answers[1:], failed=failed)

    def probe(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """The highest class scores at a pixel of some results, as JSON."""
        with shown():
            x, y, wanted = event._data.get("x"), event._data.get("y"), event._data.get("names")
            if not (isinstance(x, int) and isinstance(y, int) and isinstance(wanted, list)):
                raise LimitError("A click is a pair of whole numbers, x and y, and the names of results.")
            history, found = self._history(request), []
            for name in wanted[: 2 * BESIDE]:
                if (answer := history.find(str(name))) is not None:
                    top = self.bench.scores_at(answer, y, x)
                    found.append({"name": answer.name, "model": answer.model, "top": top})
            if wanted and not found:
                raise LimitError("This result is no longer kept; press Segment again.")
            return gr.update(scores=json.dumps({"x": x, "y": y, "results": found, "asked": time.monotonic()}))

    def choose(self, event: gr.EventData, kind: Format, request: gr.Request) -> dict[str, Any]:
        """A download of an earlier result, which is the chosen one from now on."""
        self._keep(request, self._history(request).choosing(str(event._data.get("name"))))
        return self.export(kind, request)

    def export(self, kind: Format, request: gr.Request) -> dict[str, Any]:
        """A download of the chosen result, the last one unless another was chosen, in an output format."""
        history = self._history(request)
        answer = history.find(history.chosen)
        if answer is None:
            return gr.update(interactive=False)
        client = request.client.host if request.client else ""
        with shown(), self.spool.folder(client, session=request.session_hash) as folder:
            if not answer.source.is_file():
                raise LimitError(GONE)
            path = self.bench.export(answer, kind, folder)
        return gr.update(value=str(path), label=f"Download {kind}", interactive=True)

    def forget(self, session: str) -> None:
        """Free the results and the files of a session."""
        self.results.drop((session,))
        self.spool.release(session)

    def _history(self, request: gr.Request) -> History:
        history = self.results.find((request.session_hash,))
        return history if isinstance(history, History) else History()

    def _keep(self, request: gr.Request, history: History) -> None:
        self.results.keep((request.session_hash,), history)


def results_bytes(pixels: int) -> int:
    """Bytes of results that are kept: `RESULT_BYTES`, or those of one request about an image of that many pixels."""
    return max(RESULT_BYTES, (1 + BESIDE) * (pixels * PIXEL_BYTES + TEXT_BYTES))


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


def without_paths(error: Exception, path: str | None, text: str) -> str:
    """A message with the names of files in place of their paths on the server."""
    for known in (path, getattr(error, "filename", None)):
        if known is not None:
            text = text.replace(str(known), Path(str(known)).name)
    return text


def _message(error: Exception, path: str | None, text: str) -> gr.Error:
    return gr.Error(without_paths(error, path, text), duration=TOAST_SECONDS, print_exception=False)
