"""The command line: ``lowkey VERB``. Each verb imports what it needs, and torch only to compute."""

from lowkey.cli.program import main

__all__ = ["main"]
