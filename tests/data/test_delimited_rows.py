"""CSV and TSV, against the csv module's own writer, and what is refused."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.delimited_rows import parse_delimited
from lowkey.errors import DataError

cells = st.text(alphabet=st.sampled_from('ab",;\n\r \u2028é')).filter(bool)
tables = st.lists(st.tuples(cells, cells), min_size=1)


def parse(text, *, delimiter=",", quotes=True, num_columns=2):
    return parse_delimited(text, "f", delimiter=delimiter, quotes=quotes, num_columns=num_columns)


@given(tables, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_what_csv_writes_is_read_back(wanted, delimiter, line_end):
    file = io.StringIO()
    # With "\n" between rows the writer leaves a lone "\r" unquoted, and so ends the row there.
    quoting = csv.QUOTE_ALL if line_end == "\n" else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("text", "label"), *wanted])
    table = parse(file.getvalue(), delimiter=delimiter)
    assert table.names == ("text", "label")
    assert list(zip(table.column("text"), table.column("label"), strict=True)) == wanted


def test_values_stay_the_texts_they_are():
    values = ["NA", "null", "None", "nan", "01", "1e5", "True", " a ", "=1+1"]
    table = parse("text,label\n" + "".join(f"{value},{value}\n" for value in values))
    assert table.column("text") == table.column("label") == values


def test_a_long_field_is_read_and_the_limit_of_the_process_is_left_alone():
    before = csv.field_size_limit()
    assert parse(f"text,label\n{'a' * 200_000},1\n").column("text") == ["a" * 200_000]
    assert csv.field_size_limit() == before


def test_rows_know_the_line_they_begin_on():
    assert parse('text,label\n\n"a\nb",1\nc,0\n').lines == [3, 5]


def test_without_quotes_a_quote_is_text():
    table = parse('text\tlabel\n"Hello" he said\t1\n"\t0\n', delimiter="\t", quotes=False)
    assert table.column("text") == ['"Hello" he said', '"']


@pytest.mark.parametrize(
    ("text", "delimiter", "message"),
    [
        (
            "text,label,a,b\nx,1,2,3\n",
            "\t",
            "f:1: one field where 2 are needed; the line has 3 commas and no tab"
            ' — set data.delimiter: ","',
        ),
        (
            "text\tlabel\nx\t1\n",
            ",",
            "f:1: one field where 2 are needed; the line has 1 tab and no comma"
            ' — set data.delimiter: "\\t"',
        ),
        (
            "text\tlabel\na\t1\na\tb\t0\n",
            "\t",
            "f:3: 3 fields, expected 2 (a tab inside the text?)"
            " — mend the line, or put the text in double quotes",
        ),
        ("text,label\na\n", ",", "f:2: 1 field, expected 2 — mend the line"),
        (
            'text,label\nb,0\n"a,1\nc,0\n',
            ",",
            "f:3: the quote opened here is never closed"
            ' — double quotes inside a field must be written ""',
        ),
        ('text,label\n"a" b,1\n', ",", "f:2: text follows the quote that closes a field"),
        ('text\tlabel\n"a\t1\nb"\t0\n', "\t", "f:2: a quote opens a field here"),
        ("text,text\na,b\n", ",", 'f:1: two columns are named "text"'),
        ("text,label\n", ",", "f has a header and no rows"),
    ],
)
def test_a_wrong_table_is_one_line_that_names_it(text, delimiter, message):
    with pytest.raises(DataError) as caught:
        parse(text, delimiter=delimiter)
    assert str(caught.value).startswith(message)
