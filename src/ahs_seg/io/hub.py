"""Files of the Hugging Face hub, by `owner/name` or `owner/name@revision`, from its cache or its server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from ahs_seg.errors import CheckpointError
from ahs_seg.io.outside_text import on_one_line

_NAME: Final = re.compile(r"(?P<repository>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")

UNREACHABLE: Final = cast(tuple[type[Exception], ...], (*HfHubHTTPError.__bases__, HFValidationError, OSError))
"""Exceptions of a failed connection to the hub; its own errors share the base class of its HTTP library."""

RepositoryKind = Literal["model", "space"]


class HubName(NamedTuple):
    """A repository of the hub, and the branch, tag or commit to use (None: the newest commit of its main branch)."""

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubName | None:
        """The parts of `owner/name@revision`; None if a text has another form."""
        found = _NAME.fullmatch(text)
        return None if found is None else cls(found["repository"], found["revision"])

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def fetch(
    name: HubName, filename: str, *, remedy: str, kind: RepositoryKind = "model", endpoint: str | None = None
) -> Path:
    """Path of a file of the hub, downloaded unless it is in the hub's cache (`HF_HOME`), which also works offline.

    Raises:
        CheckpointError: it cannot be downloaded; the message gives its URL and what to do with the file (`remedy`).
    """
    repository, revision = name
    try:
        return Path(hf_hub_download(repository, filename, repo_type=kind, revision=revision, endpoint=endpoint))
    except UNREACHABLE as error:
        url = hf_hub_url(repository, filename, repo_type=kind, revision=revision, endpoint=endpoint)
        raise CheckpointError(
            f"{filename} is not in the cache and could not be downloaded ({reason(error)}). "
            f"Download {url} on a machine with network access, {remedy}."
        ) from None


def fetch_if_present(name: HubName, filename: str) -> Path | None:
    """Path of a file of the hub as `fetch` gives it; None if the repository has no such file.

    Raises:
        OSError or another exception of `UNREACHABLE`: it is not known whether the repository has it.
    """
    repository, revision = name
    try:
        return Path(hf_hub_download(repository, filename, revision=revision))
    except LocalEntryNotFoundError:  # not in the cache, and the server was not asked
        if isinstance(try_to_load_from_cache(repository, filename, revision=revision), str | None):
            raise
        return None  # the cache says that there is none
    except EntryNotFoundError:
        return None


def reason(error: Exception) -> str:
    """The cause of an error of the hub in one line."""
    text = str(error.__cause__ or error)
    return on_one_line(next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__))
