"""Text from outside is shown by a terminal and not obeyed."""

import json
import logging
import unicodedata

from ahs_seg.io.outside_text import PrintableFormatter, on_one_line, printable


def test_what_a_terminal_obeys_is_written_out() -> None:
    assert printable("\x1b[31mred\x1b[0m\a\x9b2J\x7f") == r"\u001b[31mred\u001b[0m\u0007\u009b2J\u007f"
    assert printable("\u202egnp.exe") == r"\u202egnp.exe"
    assert printable("caf\udce9.png") == r"caf\udce9.png"
    assert printable("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert on_one_line("two\nlines\r") == r"two\u000alines\u000d"


def test_words_of_any_language_stay() -> None:
    words = "café, 猫, кошка, ‏חתול‎, نی‌ها, 👩‍🌾, [red], {{ x }}, <b>"
    assert printable(words) == words


def test_no_character_that_a_terminal_obeys_remains() -> None:
    shown = on_one_line("".join(map(chr, range(0x10000))))
    assert {unicodedata.category(letter) for letter in set(shown)} & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert {unicodedata.bidirectional(letter) for letter in set(shown)} & {"RLO", "LRO", "RLI", "LRI", "FSI"} == set()
    shown.encode()


def test_a_json_document_keeps_its_meaning() -> None:
    value = {"\x1b\u202e": ["\ud800", '\x7f\n\t"\\', {"\x00": "\u2028"}]}
    for indent in (None, 1):
        assert json.loads(printable(json.dumps(value, ensure_ascii=False, indent=indent))) == value


def test_log_records_are_printable() -> None:
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "no file %s", ("\x1b[2J",), None)
    assert PrintableFormatter().format(record) == r"no file \u001b[2J"
