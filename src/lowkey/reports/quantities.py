"""Numbers as people read them: shares, counts, seconds and sizes."""

import math
from typing import Literal

Unit = Literal["number", "share", "count", "seconds", "bytes", "mebibytes"]

_SPACE = "\u00a0"  # between a number and its unit: does not break the line
MISSING = "\u2013"  # a dash


def quantity(value: int | float | None, unit: Unit = "number") -> str:
    r"""Writes one number with its unit.

    Args:
        value: The number; None, NaN and infinities are written as a dash.
        unit: ``share`` is a part of one, shown in per cent; ``seconds`` become minutes and
            hours where that reads better; ``bytes`` are shown in powers of 1000,
            ``mebibytes`` in MiB or GiB.

    Returns:
        A short text, with a no-break space before the unit.

    Example:
        >>> quantity(0.9423, "share").replace("\xa0", " ")
        '94.2 %'
        >>> quantity(294912, "count")
        '294,912'
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if unit == "share":
        return f"{100 * value:.1f}{_SPACE}%"
    if unit == "count":
        return f"{round(value):,}"
    if unit == "seconds":
        return _duration(value)
    if unit == "bytes":
        return _scaled(value, 1000, ("B", "kB", "MB", "GB", "TB"))
    if unit == "mebibytes":
        return _scaled(value, 1024, ("MiB", "GiB", "TiB"))
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def interval(low: float | None, high: float | None, unit: Unit = "number") -> str:
    r"""Writes the two ends of an interval, without repeating the unit.

    Args:
        low: Lower end.
        high: Upper end.
        unit: As in ``quantity``; the unit itself is left out for shares.

    Returns:
        Both ends with a dash between, or an empty text if an end is missing.

    Example:
        >>> interval(0.927, 0.954, "share").replace("\u2013", "-")
        '92.7-95.4'
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if unit == "share":
        return f"{100 * low:.1f}\u2013{100 * high:.1f}"
    return f"{quantity(low, unit)}\u2013{quantity(high, unit)}"


def _duration(seconds: int | float) -> str:
    if seconds < 59.95:
        return f"{seconds:.3g}{_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_SPACE}min {rest:02d}{_SPACE}s"
    return f"{minutes // 60}{_SPACE}h {minutes % 60:02d}{_SPACE}min"


def _scaled(value: int | float, step: int, units: tuple[str, ...]) -> str:
    index = 0
    # 999.95 would be rounded to a thousand of the smaller unit.
    while abs(value) >= step - 0.05 and index < len(units) - 1:
        value, index = value / step, index + 1
    digits = 0 if abs(value) >= 100 or (index == 0 and value == int(value)) else 1
    return f"{value:,.{digits}f}{_SPACE}{units[index]}"
