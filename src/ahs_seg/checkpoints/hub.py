"""Upload of model directories to the hub, and download of files and model directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ahs_seg.checkpoints.card import Evaluated, write_card
from ahs_seg.checkpoints.model_dir import BACKBONE, CARD, CONFIG, WEIGHTS, ModelDescription, read_description
from ahs_seg.checkpoints.remote_code import CODE_FILE, write_remote_code
from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import UNREACHABLE, HubName, page_of, reason

_FILES: Final = (CARD, CONFIG, WEIGHTS, CODE_FILE, f"{BACKBONE}/*")


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

    The model card is generated from the reports; without reports an existing card is kept. Code that lets transformers
    load the model (`trust_remote_code=True`) is added to the directory. `private` applies only to a new repository.
    Without `token`, the token of `hf auth login` is used. `description` as in `write_card`.

    Raises:
        CheckpointError: it is not a model directory, or the hub refuses (not logged in, no such owner).
    """
    source = Path(directory)
    description = description or read_description(source)
    if reports or licence is not None or not (source / CARD).exists():
        write_card(source, reports, title=repository, licence=licence, description=description)
    write_remote_code(source / CONFIG)
    from huggingface_hub import HfApi  # takes a while, and only exchange with the hub needs it

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


def fetch_model(name: HubName) -> Path:
    """Path of the model directory in a repository of the hub, as uploaded by `push_to_hub`; downloaded if needed.

    Raises:
        CheckpointError: there is no such repository, it contains no model directory, or the hub cannot be reached.
    """
    wanted = [CONFIG, WEIGHTS, f"{BACKBONE}/*"]
    from huggingface_hub import snapshot_download  # as above

    try:
        return Path(snapshot_download(name.repository, revision=name.revision, allow_patterns=wanted, max_workers=2))
    except UNREACHABLE as error:
        raise CheckpointError(
            f"{str(name)!r} is not a local model directory and cannot be downloaded from the hub "
            f"({reason(error, page_of(name.repository))}). "
            "Give a directory, the name of a known checkpoint, or owner/name of a repository you can reach."
        ) from None
