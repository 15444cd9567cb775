"""What goes into the worker pool and what comes out."""

from __future__ import annotations

from typing import Literal, NamedTuple


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
