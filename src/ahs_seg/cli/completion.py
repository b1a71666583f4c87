"""Completion of option values by the shell; nothing here imports what takes its time."""

from __future__ import annotations

from collections.abc import Sequence

from ahs_seg.vocabulary.known_lists import known_vocabularies


def known_list(incomplete: str) -> list[str]:
    """Known class lists that begin like this; the shell completes files if there is none."""
    return _beginning(known_vocabularies(), incomplete)


def output_format(incomplete: str) -> list[str]:
    """Output formats that begin like this."""
    from ahs_seg.cli.segment import FORMATS

    return _beginning(FORMATS.split(", "), incomplete)


def _beginning(names: Sequence[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete.casefold())]
