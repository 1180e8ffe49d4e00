"""What a report says, before anyone decides how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lowkey.metrics.intervals import Score
from lowkey.reports.quantities import Unit

# A score whose interval is unknown has NaN for its ends; one on an unknown sample has n = 0.
Cell = str | int | float | bool | Score | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its heading.
        unit: How its numbers are written; None for a column of words.
        best: Which end of the column is good; that cell is highlighted.
        code: Whether its words are set in the fixed-width font.
    """

    title: str
    unit: Unit | None = None
    best: Literal["highest", "lowest"] | None = None
    code: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns; every row has one cell for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        """Checks that no cell is missing."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells in a row of {len(self.columns)} columns")


@dataclass(frozen=True)
class Picture:
    """A picture: PNG if its image is bytes, SVG if it is text.

    Attributes:
        image: The file's content.
        alt: What the picture shows, for those who cannot see it.
        caption: The line under it.
        half: Whether it may share a row with a neighbour of half width.
    """

    image: bytes | str
    alt: str
    caption: str = ""
    half: bool = False


@dataclass(frozen=True)
class Text:
    """A paragraph; a note is set apart from the running text."""

    text: str
    note: bool = False


@dataclass(frozen=True)
class KeyValues:
    """Names and what they stand for, as a quiet list."""

    items: Sequence[tuple[str, str]]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Lines in the fixed-width font, such as a command to type."""

    code: str
    caption: str = ""


@dataclass(frozen=True)
class Headline:
    """One number worth a large font.

    Attributes:
        title: What it measures.
        value: The number, with its interval if it has one.
        unit: How it is written.
        remark: A few words under it.
    """

    title: str
    value: Score | int | float
    unit: Unit = "number"
    remark: str = ""


@dataclass(frozen=True)
class Headlines:
    """A row of large numbers."""

    items: Sequence[Headline]


Block = Table | Picture | Text | KeyValues | Code | Headlines


@dataclass(frozen=True)
class Section:
    """A heading, a lead sentence and the blocks under them."""

    title: str
    lead: str = ""
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Report:
    """A title and its sections."""

    title: str
    subtitle: str = ""
    sections: Sequence[Section] = ()
