import math

import pytest

from lowkey.reports.quantities import MISSING, Unit, interval, quantity


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0.9423, "share", "94.2 %"),
        (1.0, "share", "100.0 %"),
        (22713216, "count", "22,713,216"),
        (0, "count", "0"),
        (0.0003, "number", "0.0003"),
        (27.314159, "number", "27.31"),
        (38120.4, "number", "38,120"),
        (0.4137, "seconds", "0.414 s"),
        (59.4, "seconds", "59.4 s"),
        (59.97, "seconds", "1 min 00 s"),
        (241, "seconds", "4 min 01 s"),
        (3599.8, "seconds", "1 h 00 min"),
        (7505, "seconds", "2 h 05 min"),
        (512, "bytes", "512 B"),
        (4200, "bytes", "4.2 kB"),
        (999_950, "bytes", "1.0 MB"),
        (90_900_000, "bytes", "90.9 MB"),
        (812, "mebibytes", "812 MiB"),
        (1190, "mebibytes", "1.2 GiB"),
        (None, "share", MISSING),
        (math.nan, "count", MISSING),
        (math.inf, "seconds", MISSING),
    ],
)
def test_numbers_are_written_as_people_read_them(
    value: float | None, unit: Unit, written: str
) -> None:
    assert quantity(value, unit).replace("\u00a0", " ") == written


def test_an_interval_does_not_repeat_the_sign() -> None:
    assert interval(0.927, 0.9541, "share") == "92.7\u201395.4"
    assert interval(26.1, 28.9) == "26.1\u201328.9"
    assert interval(math.nan, 0.5, "share") == ""
    assert interval(None, 0.5, "share") == ""
