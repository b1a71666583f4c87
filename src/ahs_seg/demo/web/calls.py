"""Calls of the page's functions, checked against the inputs of the function before gradio sees them."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

import gradio as gr
from pydantic import BaseModel, Field, ValidationError

from ahs_seg.demo.web.limits import LimitError, Limits, RefusedError
from ahs_seg.demo.web.spool import GONE, Spool

SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
BYTES_PER_CHARACTER: Final = 12
"""The most that JSON spends on a character: two escapes such as \\ud83d."""
OTHER_BYTES: Final = 64 * 2**10
"""Room in the JSON of a call for everything but the class names."""
OPTIONAL: Final = "optional"
"""Class of the last inputs of a function that a call may leave out; they then have their initial value."""


class Call(BaseModel):
    """JSON of a call; other keys are dropped."""

    data: list[Any]
    session_hash: Annotated[str, Field(pattern=f"^{SESSION.pattern}$")] = ""
    fn_index: int | None = None
    event_data: dict[str, Any] | None = None
    trigger_id: int | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """Reads calls of the functions of a page."""

    page: gr.Blocks
    limits: Limits
    spool: Spool

    @property
    def max_bytes(self) -> int:
        """Bytes of the JSON of a call."""
        return 2 * self.limits.text_length * BYTES_PER_CHARACTER + OTHER_BYTES

    def read(self, body: bytes, api_name: str | None) -> Call:
        """The call in a JSON body, for the function `api_name` or that of its `fn_index`; its session is set.

        Raises:
            RefusedError: the body is no call, or its values are not those that the function takes.
        """
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, f"The body is not JSON ({type(error).__name__}); send a JSON object.") from None
        try:
            call = Call.model_validate({"session_hash": secrets.token_hex(16), **_as_object(values)})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise RefusedError(400, f"The call is not understood: {place}: {first['msg']}.") from None
        function = self._function(call, api_name)
        inputs = function.inputs
        if api_name is not None and len(call.data) != len(inputs):
            inputs = [block for block in inputs if not block.skip_api]
        optional = [block for block in inputs if OPTIONAL in (getattr(block, "elem_classes", None) or ())]
        least = len(inputs) - len(optional)
        if not least <= len(call.data) <= len(inputs):
            taken = f"{least} to {len(inputs)}" if optional else f"{least}"
            raise RefusedError(400, f"The call has {len(call.data)} inputs; this function takes {taken}.")
        call.data += [block.value for block in inputs[len(call.data) :]]
        checked = [self._checked(block, value) for block, value in zip(inputs, call.data, strict=True)]
        call.data = checked
        return call

    def claim(self, call: Call) -> None:
        """Keep the uploaded files of a call as long as its session."""
        for value in call.data:
            if isinstance(value, dict):
                self.spool.claim(value["path"], call.session_hash)

    def _function(self, call: Call, api_name: str | None) -> Any:
        named = [one for one in self.page.fns.values() if one.api_visibility == "public"]
        if api_name is None:
            found = self.page.fns.get(-1 if call.fn_index is None else call.fn_index)
        else:
            found = next((one for one in named if one.api_name == api_name), None)
        if found is None:
            known = ", ".join(sorted(one.api_name for one in named))
            raise RefusedError(404, f"There is no such function; those with a name are {known}.")
        return found

    def _checked(self, block: Any, value: object) -> object:
        """A value as an input takes it.

        Raises:
            RefusedError: the input does not take it.
        """
        label = getattr(block, "label", None) or type(block).__name__
        if isinstance(block, gr.Image):
            return self._image(label, value)
        if isinstance(block, gr.Textbox):
            if not isinstance(value, str):
                raise RefusedError(400, f"{label}: this input takes text.")
            self._check_text(value)
        elif isinstance(block, gr.Dropdown):
            choices = [choice for _, choice in block.choices]
            several = value if block.multiselect else [value]
            if not isinstance(several, list) or any(one not in choices for one in several):
                how = "a list of some of" if block.multiselect else "one of"
                raise RefusedError(400, f"{label}: choose {how} {', '.join(map(str, choices))}.")
        elif isinstance(block, gr.Slider):
            if type(value) not in (int, float) or not block.minimum <= value <= block.maximum:
                raise RefusedError(400, f"{label}: give a number from {block.minimum:g} to {block.maximum:g}.")
        elif isinstance(block, gr.Dataset) and value not in range(len(block.raw_samples)):
            raise RefusedError(400, f"{label}: there are {len(block.raw_samples)} examples, counted from 0.")
        return value

    def _check_text(self, text: str) -> None:
        try:
            self.limits.check_text(text)
        except LimitError as error:
            raise RefusedError(413, str(error)) from None

    def _image(self, label: str, value: object) -> object:
        if value is None:
            return None
        path = value.get("path") if isinstance(value, dict) else None
        if not isinstance(path, str):
            raise RefusedError(400, f"{label}: send null, or an object with the path that the upload returned.")
        if "://" in path:
            raise RefusedError(400, "URLs are not downloaded; upload the image itself.")
        if path not in self.spool:
            raise RefusedError(410, GONE)
        return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _as_object(values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise RefusedError(400, "The body is not a JSON object; send one with the key `data`.")
    return {key: value for key, value in values.items() if value is not None}
