"""Model directories on their way to the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from huggingface_hub import HfApi

from ahs_seg.checkpoints.card import CARD, Evaluated, write_card
from ahs_seg.checkpoints.directory import BACKBONE, CONFIG, WEIGHTS, CheckpointError, read_description
from ahs_seg.checkpoints.download import UNREACHABLE, reason

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
) -> str:
    """Upload a model directory to `owner/name` (made if need be) and give the address of the commit.

    The card is generated from the reports; one that is there already is kept if none are given. `private` only
    matters for a repository that is made now. Without a token the one of `hf auth login` is used.

    Raises:
        CheckpointError: it is not a model directory, or the hub refuses (not logged in, no such owner).
    """
    source = Path(directory)
    read_description(source)
    if reports or licence is not None or not (source / CARD).exists():
        write_card(source, reports, title=repository, licence=licence)
    api = HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, folder_path=source, allow_patterns=list(_FILES), commit_message=message
        )
    except UNREACHABLE as error:
        raise CheckpointError(
            f"{source} could not be uploaded to {repository!r} ({reason(error)}). Check the name, and log in with "
            "`hf auth login` or give a token that may write there."
        ) from None
    return commit.commit_url
