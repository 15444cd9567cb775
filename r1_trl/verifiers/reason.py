"""Why a verdict is what it is, for people: a note beside the verdict, which stays `True`, `False` or `None`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TypeVar

Verdict = TypeVar("Verdict")

_reason: ContextVar[str] = ContextVar("reason", default="")


def because(verdict: Verdict, reason: str) -> Verdict:
    """Returns a verdict, and notes its reason for the completions table. For verifiers; without a note, the table says
    "right", "wrong" or "cannot be graded".

    Args:
        verdict (`bool`, `float` or `None`): What the verifier returns.
        reason (`str`): A few words, such as "test 3 of 5: wrong output".

    >>> because(False, "two different choices")
    False
    """
    _reason.set(reason)
    return verdict


def take_reason() -> str:
    """The reason noted since the last call; "" where there is none.

    >>> _ = because(None, "no tests")
    >>> take_reason(), take_reason()
    ('no tests', '')
    """
    reason = _reason.get()
    _reason.set("")
    return reason
