"""Numbers as a person reads them."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

SHARE, TOKENS, NUMBER = "share", "tokens", "number"


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a logged value can be drawn: finite, and no truth value.

    >>> [is_number(value) for value in (0.5, 3, True, None, "0.5", float("nan"))]
    [True, True, False, False, False, False]
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def format_value(value: float, unit: str = NUMBER) -> str:
    """A value of a metric.

    Args:
        value (`float`): Finite.
        unit (`str`, *optional*, defaults to `"number"`): `"share"` of 1, shown in percent; `"tokens"`; or `"number"`.

    >>> format_value(0.9326, "share"), format_value(23.04, "tokens"), format_value(0.000571), format_value(1234.5)
    ('93.3%', '23.0', '0.000571', '1,234')
    >>> format_value(2.5e-10)
    '2.50e-10'
    """
    if unit == SHARE:
        return f"{100 * value:.1f}%"
    if unit == TOKENS:
        return f"{value:,.1f}"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 1e-6:
        return f"{value:.2e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def format_seconds(seconds: float) -> str:
    """A duration.

    >>> format_seconds(36.2), format_seconds(630), format_seconds(7501)
    ('36 s', '10 min 30 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"
