import pytest

from lowkey.reports.visible import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ünïcode 静か 🙂", "plain, with ünïcode 静か 🙂"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("12\u00a0%\u202fx", "12\u00a0%\u202fx"),
        ("👩\u200d💻 می\u200cشد", "👩\u200d💻 می\u200cشد"),
        ("a\x1b[31m\x00\x7f\r", "a\\x1b[31m\\x00\\x7f\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eabc\u2069\u200b\ufeff\u2028", "\\u202eabc\\u2069\\u200b\\ufeff\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_cannot_be_seen_becomes_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
    visible(text).encode("utf-8")


def test_one_line_cuts_before_it_escapes() -> None:
    assert one_line("a\nb\tc") == "a b c"
    assert one_line("abcdef", limit=6) == "abcdef"
    assert one_line("abcdefg", limit=6) == "abcde…"
    assert one_line("\x1b" * 100, limit=10) == "\\x1b\\x1b\\…"
