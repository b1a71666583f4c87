"""Names from archives and lists, checked before they become paths: below their folder on every file system."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import Final

MAX_NAME: Final = 512
"""Most characters of a name with its folders; those of the published archives have fewer than 150."""
MAX_PART_BYTES: Final = 200
"""Most bytes of one part of a name; file systems allow 255, and a draft's name is longer than that of its file."""


def name_problem(name: str) -> str:
    """What is wrong with a relative name such as `a/b.png`, in a few words; "" if nothing is.

    Refused are names that lead outside of their folder on any system, and those that cannot be written or printed.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or any(sign in name for sign in "\\:\0"):
        return "leads outside of the folder it is unpacked to"
    if "" in parts or "." in parts:
        return "has an empty part, so that it may lead outside of the folder it is unpacked to"
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
        return "has characters that cannot be printed"
    if len(name) > MAX_NAME or any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"is too long; allowed are {MAX_NAME} characters, and {MAX_PART_BYTES} bytes for each part"
    return ""


def same_file_key(path: PurePosixPath) -> str:
    """Text that is equal for all paths that some file system takes for the same file.

    Case, the form of accents, and points and spaces at the end of a name do not tell files apart everywhere.
    """
    parts = (unicodedata.normalize("NFC", unicodedata.normalize("NFC", p).casefold()).rstrip(". ") for p in path.parts)
    return "/".join(parts)
