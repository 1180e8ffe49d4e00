import io
import sys

import pytest

from lowkey.cli.counter import Counter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "err", "shown"),
    [(io.StringIO, Terminal, True), (Terminal, Terminal, False), (io.StringIO, io.StringIO, False)],
)
def test_a_line_lives_where_it_tears_nothing_apart(
    monkeypatch: pytest.MonkeyPatch, out: type, err: type, shown: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", out())
    monkeypatch.setattr(sys, "stderr", err())
    counter = Counter()
    counter.advance(5)
    counter.advance(1200)
    said = sys.stderr.getvalue()
    assert ("\r5 texts  " in said and "\r1,205 texts  " in said) is shown
    counter.stop()
    assert sys.stderr.getvalue().endswith("\r\x1b[K") is shown
    assert shown or not said
