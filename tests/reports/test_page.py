import math
import re
from pathlib import Path

import pytest
from reports.inert_page import PAYLOADS, Outline, problems

from lowkey.errors import CannotWriteError
from lowkey.metrics.intervals import Score
from lowkey.reports import page
from lowkey.reports.report import (
    Code,
    Column,
    Headline,
    Headlines,
    KeyValues,
    Picture,
    Report,
    Section,
    Table,
    Text,
)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><script>1</script></svg>'


def everywhere(text: str) -> Report:
    """A report that has the text in every place that takes one."""
    table = Table(
        [Column(text), Column(text, code=True), Column(text, "share")], [[text] * 3], text
    )
    blocks = [
        table,
        Picture(SVG, text, text),
        Picture(b"\x89PNG", text, text, half=True),
        Text(text),
        Text(text, note=True),
        KeyValues([(text, text)], text),
        Code(text, text),
        Headlines([Headline(text, Score(0.5, 0.4, 0.6, 9), "share", text)]),
    ]
    return Report(text, text, [Section(text, text, blocks)] * 3)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_foreign_text_stays_text_in_every_place(payload: str) -> None:
    rendered = page.render_report(everywhere(payload))
    assert problems(rendered) == []
    assert Outline(rendered).elements == Outline(page.render_report(everywhere("word"))).elements
    assert page.visible(payload) in Outline(rendered).text
    rendered.encode("utf-8")


def test_without_escaping_the_check_finds_something(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = page._environment.__wrapped__()
    environment.autoescape = False
    monkeypatch.setattr(page, "_environment", lambda: environment)
    assert "script" in problems(page.render_report(everywhere(PAYLOADS[0])))
    assert any(
        "onerror" in found for found in problems(page.render_report(everywhere(PAYLOADS[2])))
    )


def test_without_escapes_the_check_finds_hidden_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = page._environment.__wrapped__()
    environment.finalize = None
    monkeypatch.setattr(page, "_environment", lambda: environment)
    assert repr("\u202e") in problems(page.render_report(everywhere("\u202eabc")))


def test_no_template_switches_escaping_off() -> None:
    templates = list((Path(page.__file__).parent / "templates").glob("*.j2"))
    assert len(templates) >= 3
    for template in templates:
        words = template.read_text()
        assert not any(word in words for word in ("| safe", "|safe", "autoescape", "Markup"))
        # One page has a script, which is a file of ours and no text of anybody's.
        scripts = ['<script>{% include "attention.js" %}</script>']
        allowed = scripts if template.name == "attention.html.j2" else []
        assert re.findall("<script.*", words) == allowed


def cells(table: Table) -> list[list[tuple[str, str, str]]]:
    return [
        [(cell.text.replace("\u00a0", " "), cell.interval, cell.classes) for cell in row]
        for row in page._cells(table)
    ]


def test_a_table_writes_numbers_in_their_unit_and_marks_the_best() -> None:
    columns = [
        Column("method"),
        Column("accuracy", "share", best="highest"),
        Column("seconds", "seconds", best="lowest"),
        Column("right"),
    ]
    rows = [
        ["LoRA", Score(0.942, 0.927, 0.954, 1000), 58.2, True],
        ["full", Score(0.946, math.nan, math.nan, 0), 71.9, False],
        ["broken", Score(math.nan, math.nan, math.nan, 0), None, True],
    ]
    assert cells(Table(columns, rows)) == [
        [
            ("LoRA", "", ""),
            ("94.2 %", "92.7\u201395.4", "number"),
            ("58.2 s", "", "number best"),
            ("✓", "", "yes"),
        ],
        [
            ("full", "", ""),
            ("94.6 %", "", "number best"),
            ("1 min 12 s", "", "number"),
            ("✗", "", "no"),
        ],
        [
            ("broken", "", ""),
            ("\u2013", "", "number"),
            ("\u2013", "", "number"),
            ("✓", "", "yes"),
        ],
    ]


def test_a_number_alone_is_not_the_best() -> None:
    column = Column("x", best="highest")
    assert cells(Table([column], [[3.0]])) == [[("3", "", "")]]
    assert cells(Table([column], [[3.0], [3.0], [1.0]]))[1] == [("3", "", "number best")]


def test_every_row_has_a_cell_for_every_column() -> None:
    with pytest.raises(ValueError, match="1 cells in a row of 2 columns"):
        Table([Column("a"), Column("b")], [["x", "y"], ["x"]])


def test_a_picture_is_shown_at_the_size_of_the_screen() -> None:
    report = Report("t", sections=[Section("s", blocks=[Picture(SVG, "what it shows")])])
    attributes = Outline(page.render_report(report)).attributes
    assert ("img", "width", "96") in attributes
    assert ("img", "alt", "what it shows") in attributes


def test_a_short_report_has_no_contents_and_a_long_one_links_to_its_sections() -> None:
    short = Outline(page.render_report(Report("t", sections=[Section("one")])))
    assert "nav" not in {element[0] for element in short.elements}
    long = Outline(page.render_report(Report("t", sections=[Section(name) for name in "abc"])))
    targets = {value for tag, name, value in long.attributes if (tag, name) == ("section", "id")}
    links = {value for tag, name, value in long.attributes if (tag, name) == ("a", "href")}
    assert {f"#{target}" for target in targets} == links == {f"#section-{n}" for n in (1, 2, 3)}


def test_a_report_is_written_whole_and_always_the_same(tmp_path: Path) -> None:
    page.write_report(everywhere("word"), tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written == page.render_report(everywhere("word"))
    assert written.startswith("<!doctype html>")
    with pytest.raises(CannotWriteError):
        page.write_report(everywhere("word"), tmp_path / "report.html" / "below.html")
