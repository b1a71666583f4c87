"""Uploads of the page: one image a request, on the disk only while it is wanted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync
from gradio_client.utils import strip_invalid_filename_characters
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ahs_seg.demo.web.limits import Limits, RefusedError
from ahs_seg.demo.web.spool import Spool
from ahs_seg.io.atomic import replacing_file

FORM_BYTES: Final = 64 * 2**10
"""Room in an upload for everything but the image."""
FIELD: Final = "files"
NAME_LENGTH: Final = 100


def upload_route(limits: Limits, spool: Spool) -> Any:
    """Handler of uploads: it answers with the list of the path under which the image is known."""

    async def upload(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if "multipart/form-data" not in request.headers.get("content-type", ""):
            raise RefusedError(415, "An upload is a form (multipart/form-data) with one file, `files`.")
        with spool.folder(client, size=limits.upload_bytes) as folder:
            async with request.form(max_files=1, max_fields=1, max_part_size=FORM_BYTES) as form:
                file = form.get(FIELD)
                if not isinstance(file, UploadFile):
                    raise RefusedError(400, "An upload is a form (multipart/form-data) with one file, `files`.")
                if (file.size or 0) > limits.upload_bytes:
                    raise too_large(limits)
                path = folder / safe_name(file.filename or "")
                await run_sync(_store, file, path)
        return JSONResponse([str(path)])

    return upload


async def upload_progress(request: Request) -> Response:
    """Progress of an upload: none is shown, since the browser waits for the upload itself."""
    del request
    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


def too_large(limits: Limits) -> RefusedError:
    """The refusal of a file that is too large."""
    return RefusedError(
        413,
        f"The file is larger than the maximum allowed size of {limits.upload_mb} MB; save it as JPEG.",
    )


def safe_name(name: str) -> str:
    """Name of an uploaded file without folders and characters that file systems refuse; its ending is kept."""
    printable = "".join(character for character in name.replace("\\", "/") if character.isprintable())
    plain = Path(strip_invalid_filename_characters(Path(printable).name or "image"))
    stem, ending = plain.stem.strip(". ") or "image", plain.suffix
    room = NAME_LENGTH - len(ending.encode())
    return stem.encode()[: max(1, room)].decode(errors="ignore") + (ending if room > 0 else "")


def _store(file: UploadFile, path: Path) -> None:
    with replacing_file(path) as target:
        shutil.copyfileobj(file.file, target)
