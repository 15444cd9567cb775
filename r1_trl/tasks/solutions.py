"""The gold out of a reference solution, by a format with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from r1_trl.errors import InputError, did_you_mean
from r1_trl.verifiers.expression import boxed_contents


def _gsm8k(text: str) -> str | None:
    _, marker, gold = text.rpartition("####")
    return gold.strip().replace(",", "") or None if marker else None


def _boxed(text: str) -> str | None:
    boxes = boxed_contents(text)
    return boxes[-1].strip() or None if boxes else None


# name -> from what the column holds to the gold, `None` where there is none
SOLUTION_FORMATS: dict[str, Callable[[Any], str | None]] = {
    "as_is": lambda text: text,
    "gsm8k": _gsm8k,  # 48/2 = <<48/2=24>>24 clips\n#### 24
    "boxed": _boxed,  # so the sum is \boxed{24}.
    "number": str,  # a column of numbers
}


def extract_solution(solution: Any, solution_format: str) -> str | None:
    """The gold.

    Args:
        solution (`str` or a number): What the row holds.
        solution_format (`str`): `"as_is"`; `"gsm8k"`, what follows the last `####`, without thousands separators;
            `"boxed"`, the last `\\boxed{}`; `"number"`, a number written as text.

    Returns:
        `str` or `None`: `None` where the row has none.

    >>> extract_solution("48 / 2 = 24, so 1,000 more are\\n#### 1,024", "gsm8k")
    '1024'
    >>> extract_solution(r"so the sum is $\\boxed{\\frac{1}{2}}$.", "boxed")
    '\\\\frac{1}{2}'
    """
    return None if solution is None else SOLUTION_FORMATS[solution_format](solution)


def check_solution_format(name: str) -> None:
    """Refuses a format without an extractor.

    >>> check_solution_format("gms8k")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `solution_format: gms8k` is none of as_is, gsm8k, boxed, number; did you mean `gsm8k`?
    """
    if name not in SOLUTION_FORMATS:
        known = ", ".join(SOLUTION_FORMATS)
        hint = did_you_mean(str(name), SOLUTION_FORMATS, "`")
        raise InputError(f"`solution_format: {name}` is none of {known}{hint}")
