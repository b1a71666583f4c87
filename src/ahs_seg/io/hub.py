"""Files of the Hugging Face hub, by `owner/name` or `owner/name@revision`, from its cache or its server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from ahs_seg.errors import CheckpointError, chain_of
from ahs_seg.io.outside_text import on_one_line

_NAME: Final = re.compile(r"(?P<repository>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")

UNREACHABLE: Final = cast(tuple[type[Exception], ...], (*HfHubHTTPError.__bases__, HFValidationError, OSError))
"""Exceptions of a failed connection to the hub; its own errors share the base class of its HTTP library."""

RepositoryKind = Literal["model", "space", "dataset"]

_UNAUTHORISED, _FORBIDDEN = 401, 403


class HubDownloadError(CheckpointError):
    """A file of the hub is not in its cache and cannot be downloaded, for the reason `why`; `url` is its address."""

    def __init__(self, filename: str, url: str, why: str, remedy: str) -> None:
        super().__init__(
            f"{filename} is not in the cache and could not be downloaded ({why}). "
            f"Download {url} on a machine with network access, {remedy}."
        )
        self.url, self.why = url, why


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


class HubFile(NamedTuple):
    """One file of a repository of the hub, at its revision."""

    name: HubName
    filename: str
    kind: RepositoryKind = "model"

    @property
    def url(self) -> str:
        """The address from which it is downloaded; `HF_ENDPOINT` names a mirror."""
        repository, revision = self.name
        return hf_hub_url(repository, self.filename, repo_type=self.kind, revision=revision)

    @property
    def page(self) -> str:
        """The address of the repository's page."""
        return page_of(self.name.repository, kind=self.kind)

    def cached(self) -> Path | None:
        """Its path in the hub's cache, without asking the server; None: it is not there."""
        repository, revision = self.name
        found = try_to_load_from_cache(repository, self.filename, repo_type=self.kind, revision=revision)
        return Path(found) if isinstance(found, str) else None

    def size(self, *, remedy: str) -> int | None:
        """Its bytes, as the server says; None: it does not say.

        Raises:
            HubDownloadError: the server refuses, or cannot be reached.
        """
        try:
            return get_hf_file_metadata(self.url).size
        except UNREACHABLE as error:
            raise self._error(error, remedy) from None

    def fetch(self, *, remedy: str) -> Path:
        """Its path in the hub's cache (`HF_HOME`), downloaded unless it is there, which also works offline.

        Raises:
            HubDownloadError: it cannot be downloaded; the message gives its address and what to do with it (`remedy`).
        """
        repository, revision = self.name
        try:
            return Path(hf_hub_download(repository, self.filename, repo_type=self.kind, revision=revision))
        except UNREACHABLE as error:
            raise self._error(error, remedy) from None

    def _error(self, error: Exception, remedy: str) -> HubDownloadError:
        return HubDownloadError(self.filename, self.url, reason(error, self.page), remedy)


def page_of(repository: str, *, kind: RepositoryKind = "model") -> str:
    """The address of a repository's page."""
    return f"{constants.ENDPOINT}/{'' if kind == 'model' else f'{kind}s/'}{repository}"


def fetch_if_present(name: HubName, filename: str, *, kind: RepositoryKind = "model") -> Path | None:
    """Path of a file of the hub as `HubFile.fetch` gives it; None if the repository has no such file.

    Raises:
        OSError or another exception of `UNREACHABLE`: it is not known whether the repository has it.
    """
    repository, revision = name
    try:
        return Path(hf_hub_download(repository, filename, repo_type=kind, revision=revision))
    except LocalEntryNotFoundError:  # not in the cache, and the server was not asked
        if isinstance(try_to_load_from_cache(repository, filename, repo_type=kind, revision=revision), str | None):
            raise
        return None  # the cache says that there is none
    except EntryNotFoundError:
        return None


def reason(error: Exception, page: str | None = None) -> str:
    """The cause of an error of the hub in one line; for a refusal, with what to do on the repository's `page`."""
    refused = [one for one in chain_of(error) if isinstance(one, HfHubHTTPError)]
    statuses = {one.response.status_code for one in refused if one.response is not None}
    if page is not None and (any(isinstance(one, GatedRepoError) for one in refused) or _FORBIDDEN in statuses):
        return f"access is restricted: log in with `hf auth login` and accept the terms at {page}"
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain_of(error)):
        return "offline: HF_HUB_OFFLINE is set"
    if page is not None and _UNAUTHORISED in statuses:
        return f"there is no {page}, or it is private: check the name, or log in with `hf auth login`"
    text = str(error.__cause__ or error)
    return on_one_line(next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__))
