"""The funnel: how many answers fell at each filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def make_funnel(sampled: int, fell: Mapping[str, int]) -> list[dict[str, Any]]:
    """The numbers of a funnel.

    Args:
        sampled (`int`): Answers at the top.
        fell (`Mapping[str, int]`): How many fell at each filter, in their order.

    Returns:
        `list[dict]`: For each filter its name `filter`, how many `fell`, their `share` of those that reached it, and
            how many are `left`.

    >>> make_funnel(8, {"wrong": 2})
    [{'filter': 'wrong', 'fell': 2, 'share': 0.25, 'left': 6}]
    """
    steps, left = [], sampled
    for name, count in fell.items():
        share = round(count / left, 4) if left else 0.0
        left -= count
        steps.append({"filter": name, "fell": count, "share": share, "left": left})
    return steps


def format_funnel(sampled: int, steps: list[dict[str, Any]]) -> str:
    """The funnel as a table.

    >>> print(format_funnel(8, make_funnel(8, {"wrong": 2})))
    filter                fell   share    left
    sampled                                  8
    wrong                    2   25.0%       6
    """
    lines = [f"{'filter':<18}{'fell':>8}{'share':>8}{'left':>8}", f"{'sampled':<18}{'':>16}{sampled:>8}"]
    lines += [f"{step['filter']:<18}{step['fell']:>8}{step['share']:>8.1%}{step['left']:>8}" for step in steps]
    return "\n".join(lines)
