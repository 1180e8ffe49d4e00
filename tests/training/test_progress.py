import io

import pytest

from lowkey.training.progress import (
    LiveProgress,
    Moment,
    PlainProgress,
    Progress,
    clock,
    named_values,
    progress_for,
)

MOMENT = Moment(12, 900, 0.01, 2.34567, 1840.4, 201.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(progress):
    progress.start()
    progress.step(MOMENT, logged=False)
    progress.step(MOMENT, logged=True)
    progress.note("step 12  loss 0.5 [best]")
    progress.warn("careful")
    progress.stop()


def test_plain_lines():
    stream = io.StringIO()
    run(progress_for(stream))
    assert stream.getvalue().splitlines() == [
        "step 12/900  loss 2.346  1,840 tokens/s  3:21 left",
        "step 12  loss 0.5 [best]",
        "warning: careful",
    ]


def test_a_terminal_shows_one_living_line_and_leaves_the_notes(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = progress_for(stream)
    assert isinstance(progress, LiveProgress)
    run(progress)
    shown = stream.getvalue()
    assert "step 12/900  loss 2.346  1,840 tokens/s  3:21 left" in shown
    assert "step 12  loss 0.5 [best]\n" in shown
    assert "warning: careful\n" in shown
    assert shown.count("\x1b[?25l") <= shown.count("\x1b[?25h")  # the cursor is there again
    assert shown.index("\x1b[?25h") < shown.index("step 12/900")  # and already while it runs


def test_silence_but_for_warnings(capsys):
    run(Progress())
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "warning: careful\n")


def test_choice():
    assert type(progress_for(io.StringIO())) is PlainProgress


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (7325.0, "2:02:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_values_and_an_unknown_end():
    assert named_values({"bleu": 31.42159, "loss": float("nan")}) == "bleu 31.42  loss nan"
    assert str(Moment(1, 5, 0.0, 1.0, 0.0)) == "step 1/5  loss 1  0 tokens/s"
