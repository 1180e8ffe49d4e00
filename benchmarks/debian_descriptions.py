"""English-German pairs out of Debian's package descriptions and their translations.

    python -m benchmarks.debian_descriptions Translation-en Translation-de --out FOLDER

A description is a title and paragraphs. Its translation names it by the MD5 of the English text,
and their paragraphs are paired in turn if there are as many on both sides; titles always.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.description_files import Description, is_running_text, read_descriptions
from lowkey.errors import ConfigError, DataError, LowkeyError
from lowkey.files.durable import staged_folder, write_text
from lowkey.files.text import MIB, parse_json, read_text

# Where a split begins, as a fraction of the range of the hash of a family.
SPLITS = (("train", 0.0), ("validation", 0.94), ("test", 0.96))

Splits = dict[str, list[tuple[str, str]]]


class Pair(NamedTuple):
    """A text, its translation and the package they describe."""

    source: str
    target: str
    package: str


def pairs_of(english: dict[str, Description], german: dict[str, Description]) -> list[Pair]:
    """Aligns descriptions and keeps what is a sentence or more, with a translation of it.

    Args:
        english: Descriptions by MD5.
        german: Their translations by the same MD5.

    Returns:
        The pairs in the order of the translations. Of sources that differ in punctuation and
        capitals alone the first is kept.
    """
    kept: dict[str, Pair] = {}
    for md5, translation in german.items():
        if md5 in english:
            for source, target in _aligned(english[md5], translation):
                if _is_prose(source, target):
                    pair = Pair(source, target, translation.package)
                    kept.setdefault(_words_of(source), pair)
    return list(kept.values())


def _aligned(english: Description, german: Description) -> Iterator[tuple[str, str]]:
    yield english.title, german.title
    if len(english.paragraphs) == len(german.paragraphs):
        for both in zip(english.paragraphs, german.paragraphs, strict=True):
            if all(is_running_text(lines) for lines in both):
                source, target = (" ".join(line.strip() for line in lines) for lines in both)
                yield source, target


def _is_prose(source: str, target: str) -> bool:
    """Leaves out single words, very long texts, lists of names and numbers, and loose versions."""
    return (
        source != target
        and 2 <= len(source.split()) <= 80
        and 0.4 <= len(target) / len(source) < 2.6
        and sum(char.isalpha() for char in source) > 0.6 * len(source)
    )


def _words_of(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", source.lower()).strip()


def family_of(package: str) -> str:
    """Shortens a name to what packages of one origin mostly share.

    Args:
        package: Name of a package.

    Returns:
        Its first twelve characters, and of these those before the first digit.

    Example:
        >>> family_of("libqt5gui5"), family_of("gnome-software-doc")
        ('libqt', 'gnome-softwa')
    """
    return re.split(r"\d", package)[0][:12]


def split_pairs(pairs: Sequence[Pair]) -> Splits:
    """Splits 94 : 2 : 4 by package family.

    Args:
        pairs: All pairs.

    Returns:
        Sources and targets by split, shuffled. No two splits have a family in common, nor a
        source up to its digits: such pairs are left out of test and of validation.
    """
    splits: dict[str, dict[str, Pair]] = {name: {} for name, _ in SPLITS}
    for pair in pairs:
        place = _fraction(family_of(pair.package))
        name = [name for name, begin in SPLITS if place >= begin][-1]
        splits[name][pair.source] = pair
    taken: set[str] = set()
    result: Splits = {}
    for name in ("train", "test", "validation"):
        chosen = [pair for pair in splits[name].values() if _without_digits(pair) not in taken]
        taken.update(map(_without_digits, chosen))
        rows = [(pair.source, pair.target) for pair in chosen]
        result[name] = sorted(rows, key=lambda row: _fraction(row[0]))
    return result


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _without_digits(pair: Pair) -> str:
    return " ".join(re.sub(r"\d+", " ", _words_of(pair.source)).split())


def write_splits(folder: Path, splits: Splits) -> None:
    """Writes train.jsonl, validation.jsonl and test.jsonl into a new folder.

    Args:
        folder: The folder.
        splits: Sources and targets by split.

    Raises:
        ConfigError: If there is something of that name already.
        CannotWriteError: If it cannot be written.
    """
    if folder.exists():
        what = f"{folder} exists already and is kept"
        raise ConfigError(what, where="--out", fix="remove it or name another folder")
    with staged_folder(folder) as stage:
        for name, rows in splits.items():
            records = [{"source": source, "target": target} for source, target in rows]
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
            write_text(stage / f"{name}.jsonl", "".join(lines))


def read_splits(folder: Path) -> Splits:
    """Reads what `write_splits` wrote.

    Args:
        folder: The folder.

    Returns:
        Sources and targets by split.

    Raises:
        MissingInputError: If a file is not there.
        DataError: If a line is not JSON with the texts source and target.
    """
    splits: Splits = {}
    for name, _ in SPLITS:
        path = folder / f"{name}.jsonl"
        rows = splits[name] = []
        for number, line in enumerate(read_text(path, max_bytes=256 * MIB).splitlines(), 1):
            record = parse_json(line, where=f"{path}:{number}")
            texts = record if isinstance(record, dict) else {}
            source, target = texts.get("source"), texts.get("target")
            if not (isinstance(source, str) and isinstance(target, str)):
                raise DataError("no texts source and target", where=f"{path}:{number}")
            rows.append((source, target))
    return splits


def comparison(rebuilt: Splits, other: Splits) -> str:
    """Counts the pairs that two sets have in common.

    Args:
        rebuilt: One set.
        other: The set whose pairs are looked for in it.

    Returns:
        A line for each split of the other set, and one for pairs that it lacks.
    """
    everywhere = {pair for rows in rebuilt.values() for pair in rows}
    lines = []
    for name, rows in other.items():
        same = len(set(rows) & everywhere)
        lines.append(
            f"{name}: {same:,} of {len(rows):,} pairs are the same,"
            f" {len(set(rows) & set(rebuilt[name])):,} of them in {name} here too"
        )
    added = everywhere - {pair for rows in other.values() for pair in rows}
    return "\n".join([*lines, f"only here: {len(added):,} pairs"])


def main(arguments: list[str] | None = None) -> int:
    """Rebuilds the pairs and writes them, compares them, or both.

    Args:
        arguments: The command line; that of the process if None.

    Returns:
        The exit code: 0, or that of the error that was told.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.debian_descriptions")
    parser.add_argument("english", type=Path, help="Translation-en, plain or .gz, .bz2, .xz")
    parser.add_argument("german", type=Path, help="Translation-de of the same release")
    parser.add_argument("--out", type=Path, help="a new folder for the three files")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="a set to compare with")
    options = parser.parse_args(arguments)
    if not (options.out or options.check):
        parser.error("--out or --check is needed")
    try:
        other = read_splits(options.check) if options.check else None
        english = read_descriptions(options.english, "en")
        splits = split_pairs(pairs_of(english, read_descriptions(options.german, "de")))
        if other:
            print(comparison(splits, other))
        if options.out:
            write_splits(options.out, splits)
            counts = ", ".join(f"{name} {len(splits[name]):,}" for name, _ in SPLITS)
            print(f"{options.out}: {counts} pairs")
    except LowkeyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
