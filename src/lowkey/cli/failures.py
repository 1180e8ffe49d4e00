"""How a command that fails says so: one to three lines, and a code that scripts can tell apart."""

import os
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import TextIO

import typer
from typer.exceptions import TyperException

from lowkey.errors import LowkeyError, escaped, shown

INTERRUPTED, BROKEN_PIPE, BUG = 130, 141, 70


def report_failure(error: BaseException) -> int:
    """Tells what went wrong on standard error.

    Args:
        error: What ended the command.

    Returns:
        The exit code.
    """
    if isinstance(error, LowkeyError):
        _tell(f"error: {error}")
        return error.exit_code
    if isinstance(error, TyperException):
        _tell(f"error: {_usage_problem(error)}")
        context = getattr(error, "ctx", None)
        _tell(f"hint: see {context.command_path if context else 'lowkey'} --help")
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        _tell("interrupted")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader has gone, as with `| head`. Python would complain once more at its end.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, SystemExit):
        raise error
    what = shown(f"{type(error).__name__}: {error}", limit=200).strip('"')
    _tell(f"error: {escaped(what)} — this is a bug in lowkey; please report it")
    _tell(f"hint: the traceback is in {_write_traceback(error)}")
    return BUG


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Shows a warning of any library on one line; takes the place of ``warnings.showwarning``.

    Args:
        message: The warning.
        category: Its class; not shown.
        filename: Where it was raised; not shown.
        lineno: The line there; not shown.
        file: Where to print; standard error if None.
        line: The source there; not shown.
    """
    first = str(message).strip().partition("\n")[0]
    print(f"warning: {escaped(first)}", file=file or sys.stderr)


def _tell(line: str) -> None:
    # Nobody may be listening to standard error either.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _usage_problem(error: TyperException) -> str:
    """Words what is wrong with the command line as our other messages are worded."""
    meant = sorted(getattr(error, "possibilities", None) or [])
    text = error.message if meant else error.format_message()
    text = escaped(" ".join(text.split())).rstrip(".").replace("Value error, ", "")
    text = text[:1].lower() + text[1:]
    return f"{text} — did you mean {' or '.join(meant)}?" if meant else text


def _write_traceback(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    descriptor, name = tempfile.mkstemp(prefix="lowkey-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return name
