"""Upload of model directories to the hub, and download of files and model directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, cast

from huggingface_hub import HfApi, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from ahs_seg.checkpoints.card import CARD, Evaluated, write_card
from ahs_seg.checkpoints.model_dir import BACKBONE, CONFIG, WEIGHTS, ModelDescription, read_description
from ahs_seg.errors import CheckpointError
from ahs_seg.io.outside_text import on_one_line

_FILES: Final = (CARD, CONFIG, WEIGHTS, f"{BACKBONE}/*")


def push_to_hub(
    directory: Path | str,
    repository: str,
    *,
    reports: Sequence[Evaluated] = (),
    licence: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    message: str = "Upload model",
    description: ModelDescription | None = None,
) -> str:
    """Upload a model directory to `owner/name` (created if it does not exist) and return the URL of the commit.

    The model card is generated from the reports; without reports an existing card is kept. `private` applies only to
    a new repository. Without `token`, the token of `hf auth login` is used. `description` as in `write_card`.

    Raises:
        CheckpointError: it is not a model directory, or the hub refuses (not logged in, no such owner).
    """
    source = Path(directory)
    description = description or read_description(source)
    if reports or licence is not None or not (source / CARD).exists():
        write_card(source, reports, title=repository, licence=licence, description=description)
    api = HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, folder_path=source, allow_patterns=list(_FILES), commit_message=message
        )
    except UNREACHABLE as error:
        raise CheckpointError(
            f"{source} could not be uploaded to {repository!r} ({reason(error)}). Check the name, and log in with "
            "`hf auth login` or give a token with write access."
        ) from None
    return commit.commit_url


UNREACHABLE: Final = cast(tuple[type[Exception], ...], (*HfHubHTTPError.__bases__, HFValidationError, OSError))
"""Exceptions of a failed connection to the hub; its own errors share the base class of its HTTP library."""

RepositoryKind = Literal["model", "space"]


def fetch(
    repository: str, filename: str, *, remedy: str, kind: RepositoryKind = "model", endpoint: str | None = None
) -> Path:
    """Path of a file of the hub, downloaded unless it is in the hub's cache (`HF_HOME`), which also works offline.

    Raises:
        CheckpointError: it cannot be downloaded; the message gives its URL and what to do with the file (`remedy`).
    """
    try:
        return Path(hf_hub_download(repository, filename, repo_type=kind, endpoint=endpoint))
    except UNREACHABLE as error:
        url = hf_hub_url(repository, filename, repo_type=kind, endpoint=endpoint)
        raise CheckpointError(
            f"{filename} is not in the cache and could not be downloaded ({reason(error)}). "
            f"Download {url} on a machine with network access, {remedy}."
        ) from None


def fetch_model(repository: str, *, revision: str | None = None, endpoint: str | None = None) -> Path:
    """Path of the model directory in a repository of the hub, as uploaded by `push_to_hub`; downloaded if needed.

    Raises:
        CheckpointError: there is no such repository, it contains no model directory, or the hub cannot be reached.
    """
    wanted = [CONFIG, WEIGHTS, f"{BACKBONE}/*"]
    try:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=wanted, endpoint=endpoint, max_workers=2)
        )
    except UNREACHABLE as error:
        raise CheckpointError(
            f"{repository!r} is not a local model directory and cannot be downloaded from the hub ({reason(error)}). "
            "Give a directory, the name of a known checkpoint, or owner/name of a repository you can reach."
        ) from None


def reason(error: Exception) -> str:
    """The cause of an error of the hub in one line."""
    text = str(error.__cause__ or error)
    return on_one_line(next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__))
