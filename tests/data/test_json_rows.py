"""JSON rows, against the json module, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowkey.data.json_rows import parse_json_array, parse_json_lines
from lowkey.errors import DataError

# The line separators beyond \n are what a reader that uses splitlines() stumbles over.
texts = st.text(alphabet=st.sampled_from('ab "\\\n\r\t,[]{}\u2028\x85é😀'))
records = st.lists(
    st.dictionaries(st.sampled_from(["text", "label", "x"]), texts | st.integers() | st.none())
)


def rows_of(table):
    columns = {name: table.column(name) for name in table.names}
    return [{name: columns[name][i] for name in columns} for i in range(table.num_rows)]


def filled(wanted):
    """The rows as a table has them: every column in every row."""
    names = dict.fromkeys(name for row in wanted for name in row)
    return [{name: row.get(name) for name in names} for row in wanted]


@given(records, st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_lines_are_read_as_json_reads_them(wanted, ascii_only, line_end):
    text = line_end.join(json.dumps(row, ensure_ascii=ascii_only) for row in wanted)
    assert rows_of(parse_json_lines(text, "f")) == filled(wanted)


@given(records, st.sampled_from([None, 0, 2]))
def test_an_array_is_read_as_json_reads_it(wanted, indent):
    text = json.dumps(wanted, indent=indent)
    assert rows_of(parse_json_array(f"\n {text}\n", "f")) == filled(wanted)


def test_rows_know_their_lines():
    assert parse_json_lines('\n{"a": 1}\n\n{"a": 2}\n', "f").lines == [2, 4]
    assert parse_json_array('[\n{"a":\n1},\n\n{"a": 2}, {"a": 3}]', "f").lines == [2, 5, 5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a" "label": 1}', "f:2: not JSON (expecting ',' delimiter at column 14)"),
        ('{"text": "a"', "f:2: not JSON"),
        ('{"text": "a"} {"text": "b"}', "f:2: not JSON (extra data at column 15)"),
        ('{"text": NaN}', "f:2: not JSON (NaN"),
        ('{"text": "a", "text": "b"}', 'f:2: the key "text" is given twice'),
        ('["a", "b"]', 'f:2: not an object but ["a", "b"]'),
        ("7", "f:2: not an object but 7"),
        ("[" * 100_000, "f:2: not JSON that can be read (too deep)"),
        ('{"a": ' + "9" * 5000 + "}", "f:2: not JSON that can be read (a number"),
    ],
)
def test_a_wrong_line_is_named(line, message):
    with pytest.raises(DataError) as caught:
        parse_json_lines('{"text": "fine"}\n' + line, "f")
    assert str(caught.value).startswith(message)
    with pytest.raises(DataError) as caught:
        parse_json_array('[{"text": "fine"},\n' + line + "]", "f")
    assert str(caught.value).startswith("f:2: ")


@pytest.mark.parametrize("text", ["[\n", '[{"text": "a"}]'])
def test_an_array_in_a_file_of_lines_is_recognised(text):
    with pytest.raises(DataError, match=r"for a JSON array use data\.format: json$"):
        parse_json_lines(text, "f")


@pytest.mark.parametrize(
    "text", ['{"a": 1}', "[1]", '[{"a": 1}', '[{"a": 1},]', '[{"a": 1} {"a": 2}]', "[] 1", "[", '"']
)
def test_what_is_no_array_of_objects_is_refused(text):
    with pytest.raises(DataError):
        parse_json_array(text, "f")
