"""Text from outside (names of files and classes, a server's words) in forms that its reader shows and does not obey.

The reader may be a terminal, an XML parser, Markdown or a spreadsheet. HTML is escaped by the templates, JSON and YAML
by their libraries.
"""

from __future__ import annotations

import logging
import re
from typing import Final

_BIDI: Final = "\u202a-\u202e\u2066-\u2069"
HIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ufffe\uffff\ud800-\udfff]")
"""Characters that a reader does not see but a program may act on: control characters, line separators, controls of the
direction of writing, halves of surrogate pairs and noncharacters."""
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MARKUP: Final = re.compile(r"[\\`*\[\]<|&]")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """The text with every hidden character but line breaks and tabs written as JSON escapes, ESC as in `u001b`."""
    return HIDDEN.sub(_kept_or_escaped, text)


def on_one_line(text: str) -> str:
    """The text with every hidden character written as in JSON, line breaks and tabs, too."""
    return HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _kept_or_escaped(found: re.Match[str]) -> str:
    return found[0] if found[0] in "\n\t" else _escaped(found)


def xml_text(text: str) -> str:
    """The text with every character that XML cannot hold written as in JSON; quoting is the caller's."""
    return _NOT_XML.sub(_escaped, text)


def markdown_text(text: str) -> str:
    """The text as Markdown shows it literally, in one table cell: no markup, links, HTML or line breaks."""
    return _MARKUP.sub(r"\\\g<0>", on_one_line(text))


def csv_text(text: str) -> str:
    """The text as a CSV cell that no spreadsheet takes for a formula: an apostrophe stands before its first sign."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class PrintableFormatter(logging.Formatter):
    """Formatter of log records whose text is `printable`."""

    def format(self, record: logging.LogRecord) -> str:
        """The printable text of a record."""
        return printable(super().format(record))
