"""Names from outside that a careless writer would let act: as markup, as code, as control of a terminal."""

from __future__ import annotations

from typing import Final

CLASS_NAMES: Final = (
    "<script>alert(1)</script>",
    "<!-- <img src=x onerror=alert(1)>",
    "]]> &lt; & &#0;",
    "[red]rich[/red]",
    "[/red]",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "\"double\" 'single' `back`",
    "$\\frac$ and $",
    "| pipe | **bold** [link](javascript:alert(1))",
    "=cmd|' /C calc'!A0",
    "+1",
    "@SUM(1)",
    "- a: b # c",
    "null",
    "%s %n {0}",
    "back\\slash\\",
    "../../etc/passwd",
    "猫 👩\u200d🌾 עברית é",
    "x" * 10_000,
)
"""Class names that are accepted, since they are text that can be read."""

HIDDEN_NAMES: Final = (
    "nul\0",
    "\x1b[2Jescape",
    "bell\a",
    "\x9b31mc1",
    "\x7f",
    "\u202egnp.exe",
    "\u2066isolate",
    "half\ud83d",
    "not a character\uffff",
)
"""Class names that are refused; names of files may contain what these contain, but for NUL."""

FILE_NAMES: Final = (
    *(name.replace("/", "∕") for name in CLASS_NAMES if len(name) < 100),
    *(name for name in HIDDEN_NAMES if "\0" not in name and "\ud83d" not in name),
    "two\nlines\tand a tab",
    "not utf-8 \udce9",
)
