"""What goes into the worker pool and what comes out."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple


class Task(NamedTuple):
    """One answer to judge.

    Args:
        verifier (`str`): A name that [`~r1_trl.verifiers.get_verifier`] knows.
        answer (`str`): The final answer.
        solution (`str`): The gold.
        args (`str`, *optional*): The row's `verifier_args`, JSON text.
        seconds (`float`, *optional*): Deadline of this task. Defaults to the pool's.
    """

    verifier: str
    answer: str
    solution: str
    args: str | None = None
    seconds: float | None = None


class Outcome(NamedTuple):
    """What became of a task.

    Args:
        verdict (`bool`, `float` or `None`): The verifier's; `False` where its worker was killed or died.
        reason (`str`): Why, where the verifier or the pool says so.
        end (`str`, *optional*, defaults to `"judged"`): `"timed out"` where the worker was killed at the deadline,
            `"died"` where it ended by itself.
    """

    verdict: bool | float | None
    reason: str = ""
    end: Literal["judged", "timed out", "died"] = "judged"


def read_args(args: str | None) -> dict[str, Any] | None:
    """A row's `verifier_args`, parsed.

    Args:
        args (`str` or `None`): JSON text; `None` and `""` are none.

    Raises:
        `ValueError`: It is no JSON, or no object.

    >>> read_args('{"within": 0.1}'), read_args("")
    ({'within': 0.1}, None)
    """
    try:
        parsed = json.loads(args) if args else None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"verifier_args is no JSON: {error}") from error
    if parsed is not None and not isinstance(parsed, dict):
        raise ValueError("verifier_args is no JSON object")
    return parsed
