"""Texts to classify out of Debian's package descriptions: to which section does each belong?

    python -m benchmarks.debian_topics Packages Translation-en --out FOLDER

A text is the title and those paragraphs that are running text. Labels are the sections about what
a program does; those about a language, a desktop or a kind of file are left out.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.description_files import (
    Description,
    is_running_text,
    read_descriptions,
    text_of,
)
from lowkey.errors import ConfigError, DataError, LowkeyError
from lowkey.files.durable import staged_folder, write_text

# Where a split begins, as a fraction of the range of the hash of a source package.
SPLITS = (("train", 0.0), ("validation", 0.75), ("test", 0.84))
# fmt: off
SECTIONS = frozenset(
    (
        "admin", "database", "devel", "editors", "education", "electronics", "games", "graphics",
        "hamradio", "httpd", "interpreters", "kernel", "mail", "math", "net", "news", "otherosfs",
        "science", "shells", "sound", "text", "utils", "vcs", "video", "web", "x11",
    )
)
# fmt: on
MOST_LETTERS = 1500
_FIELDS = ("Package", "Source", "Section", "Description-md5")


class Package(NamedTuple):
    """What a stanza of Packages says that is of use here."""

    source: str
    section: str
    md5: str


def read_packages(path: Path) -> list[Package]:
    """Reads a file Packages.

    Args:
        path: The file; one that ends in .gz, .bz2 or .xz is unpacked.

    Returns:
        The packages that have a section and a description, in the order of the file.

    Raises:
        MissingInputError: If the file is not there.
        DataError: If it cannot be unpacked, is too large, not UTF-8, or holds no packages.
    """
    found = []
    for stanza in text_of(path).split("\n\n"):
        fields = dict(_fields(stanza))
        name, section, md5 = (fields.get(key) for key in ("Package", "Section", "Description-md5"))
        if name and section and md5:
            source = (fields.get("Source") or name).split()[0]
            found.append(Package(source, section.rpartition("/")[2], md5))
    if not found:
        raise DataError(f"{path} holds no packages with sections", fix="give a file Packages")
    return found


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for line in stanza.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name in _FIELDS:
            yield name, value.strip()


def text_about(description: Description) -> str:
    """Makes one text of a description.

    Args:
        description: Its title and paragraphs.

    Returns:
        Title and paragraphs of running text, cut to 1,500 letters.
    """
    paragraphs = [" ".join(map(str.strip, p)) for p in description.paragraphs if is_running_text(p)]
    return f"{description.title}. {' '.join(paragraphs)}"[:MOST_LETTERS].strip()


def splits_of(
    packages: list[Package], descriptions: dict[str, Description]
) -> dict[str, list[dict[str, str]]]:
    """Puts every text that occurs once or first into a split.

    Args:
        packages: The packages.
        descriptions: Their descriptions by MD5.

    Returns:
        Rows of text and label by split, shuffled. A source package is in one split alone.
    """
    seen: set[str] = set()
    rows: dict[str, list[dict[str, str]]] = {name: [] for name, _ in SPLITS}
    for package in packages:
        if package.section in SECTIONS and package.md5 in descriptions:
            text = text_about(descriptions[package.md5])
            if text not in seen:
                seen.add(text)
                place = _fraction(package.source)
                name = [name for name, begin in SPLITS if place >= begin][-1]
                rows[name].append({"text": text, "label": package.section})
    return {
        name: sorted(each, key=lambda row: _fraction(row["text"])) for name, each in rows.items()
    }


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def main(arguments: list[str] | None = None) -> int:
    """Makes the set and writes it.

    Args:
        arguments: The command line; that of the process if None.

    Returns:
        The exit code: 0, or that of the error that was told.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.debian_topics")
    parser.add_argument("packages", type=Path, help="Packages, plain or .gz, .bz2, .xz")
    parser.add_argument("english", type=Path, help="Translation-en of the same release")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the three files")
    options = parser.parse_args(arguments)
    try:
        if options.out.exists():
            what = f"{options.out} exists already and is kept"
            raise ConfigError(what, where="--out", fix="remove it or name another folder")
        packages = read_packages(options.packages)
        splits = splits_of(packages, read_descriptions(options.english, "en"))
        with staged_folder(options.out) as stage:
            for name, rows in splits.items():
                lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
                write_text(stage / f"{name}.jsonl", "".join(lines))
        counts = ", ".join(f"{name} {len(rows):,}" for name, rows in splits.items())
        print(f"{options.out}: {counts} texts")
    except LowkeyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
