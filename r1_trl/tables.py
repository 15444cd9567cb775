"""Rows of text in columns, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under one another: the first column flush left, the others flush right.

    Args:
        rows (`Sequence[Sequence[str]]`): All of one length, the heading first.

    >>> print(format_table([["stage", "seconds"], ["sft", "36.0"]]))
    stage  seconds
    sft       36.0
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
