"""A report as one HTML file that loads nothing and runs no script.

Every string passes through ``visible`` and then through jinja2's escaping, wherever a template
puts it; no template may switch that off.
"""

import base64
import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2

from lowkey import __version__
from lowkey.files import write_text
from lowkey.metrics.intervals import Score
from lowkey.reports.quantities import interval, quantity
from lowkey.reports.report import Cell, Column, Headline, Report, Table
from lowkey.reports.visible import visible


@dataclass(frozen=True)
class _CellView:
    """A cell as the template sets it."""

    text: str
    interval: str
    classes: str


def render_report(report: Report) -> str:
    """Lays a report out as a page.

    Args:
        report: What the page says.

    Returns:
        The whole HTML document; the same report gives the same text.
    """
    return render(
        "report.html.j2", title=report.title, subtitle=report.subtitle, sections=report.sections
    )


def write_report(report: Report, path: Path) -> None:
    """Writes a report as one HTML file.

    Args:
        report: What the page says.
        path: The file to write; an old one is replaced.

    Raises:
        CannotWriteError: If the file cannot be written.
    """
    write_text(path, render_report(report))


def render(template: str, **values: object) -> str:
    """Fills one of this room's templates.

    Args:
        template: Its file name.
        **values: What the template speaks of.

    Returns:
        The filled text.
    """
    return _environment().get_template(template).render(version=__version__, **values)


def data_uri(image: bytes | str) -> str:
    """Puts a picture into an address, so that a page needs no second file.

    Args:
        image: The content of a PNG file, or the text of an SVG file.

    Returns:
        A ``data:`` address.
    """
    content = image.encode("utf-8") if isinstance(image, str) else image
    kind = "svg+xml" if isinstance(image, str) else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lowkey.reports"),
        autoescape=True,
        # Runs on every printed value, before it is escaped.
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cells": _cells,
        "data_uri": data_uri,
        "kind": lambda block: type(block).__name__,
        "pixels_wide": _pixels_wide,
        "large": _large,
        "under": _under,
    }
    return environment


def _shown(value: object) -> object:
    """Makes a text visible; what the templates themselves have made of texts is left alone."""
    if hasattr(value, "__html__") or not isinstance(value, str):
        return value
    return visible(value)


def _cells(table: Table) -> list[list[_CellView]]:
    """Writes the cells of a table and marks the best of each column."""
    best = [_best(column, [row[i] for row in table.rows]) for i, column in enumerate(table.columns)]
    return [
        [
            _cell(value, column, is_best=best[i] is not None and _number(value) == best[i])
            for i, (value, column) in enumerate(zip(row, table.columns, strict=True))
        ]
        for row in table.rows
    ]


def _cell(value: Cell, column: Column, *, is_best: bool) -> _CellView:
    if isinstance(value, bool):
        return _CellView("✓" if value else "✗", "", "yes" if value else "no")
    if isinstance(value, str):
        return _CellView(value, "", "words" if column.code else "number" if column.unit else "")
    classes = "number best" if is_best else "number" if column.unit else ""
    unit = column.unit or "number"
    if isinstance(value, Score):
        return _CellView(
            quantity(value.value, unit), interval(value.low, value.high, unit), classes
        )
    return _CellView(quantity(value, unit), "", classes)


def _best(column: Column, cells: list[Cell]) -> int | float | None:
    """Finds the best number of a column; a number alone is not best."""
    known = [number for cell in cells if (number := _number(cell)) is not None]
    numbers = [number for number in known if math.isfinite(number)]
    if column.best is None or len(numbers) < 2:
        return None
    return max(numbers) if column.best == "highest" else min(numbers)


def _number(cell: Cell) -> int | float | None:
    if isinstance(cell, Score):
        return cell.value
    return None if isinstance(cell, str | bool | None) else cell


def _large(item: Headline) -> str:
    """Writes the large number itself."""
    return quantity(_number(item.value), item.unit)


def _under(item: Headline) -> str:
    """Writes what stands under a large number: its interval, then its sample and remark."""
    ends = sample = ""
    if isinstance(item.value, Score):
        ends = interval(item.value.low, item.value.high, item.unit)
        sample = f"{quantity(item.value.n, 'count')} examples" if item.value.n else ""
    rest = ", ".join(part for part in (sample, item.remark) if part)
    return "\n".join(part for part in (f"95 % interval {ends}" if ends else "", rest) if part)


def _pixels_wide(image: bytes | str) -> int | None:
    """Reads how wide a picture is to be shown; a PNG has twice the pixels of the screen."""
    if isinstance(image, bytes):
        return int.from_bytes(image[16:20], "big") // 2 or None
    points = re.search(r'<svg[^>]* width="([0-9.]+)pt"', image)
    return round(float(points[1]) * 96 / 72) if points else None
