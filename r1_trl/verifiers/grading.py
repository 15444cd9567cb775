"""Grades a batch of answers: each with the verifier of its row, in worker processes, and none of them twice.

Stands between the rewards and the worker pool. Verdicts are kept for the rest of the run, by verifier, answer, gold
and arguments: a verifier must give the same verdict for the same text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from r1_trl.errors import InputError
from r1_trl.verifiers import get_verifier
from r1_trl.verifiers.pool import WorkerPool
from r1_trl.verifiers.pool.task import Outcome, Task, read_args

DEFAULT_VERIFIER = "math"
_NO_SOLUTION = Outcome(None, "no solution")
_HOPELESS = Outcome(None, "the solution cannot be read in time")
_REMEMBERED = 100_000  # verdicts; some 20 MB


class Row(NamedTuple):
    """One answer with what its dataset row says of it.

    Args:
        answer (`str` or `None`): The final answer; `None` where the completion has none.
        solution (`str` or `None`): The gold.
        verifier (`str`, *optional*): Name or dotted path. Defaults to `"math"`, also where it is empty.
        args (`str`, *optional*): The row's `verifier_args`, JSON text.
    """

    answer: str | None
    solution: str | None
    verifier: str | None = None
    args: str | None = None

    @property
    def verifier_name(self) -> str:
        """Who judges it.

        >>> Row("4", "4").verifier_name
        'math'
        """
        return self.verifier or DEFAULT_VERIFIER


class Grade(NamedTuple):
    """The verdict on a row.

    Args:
        score (`float` or `None`): 1.0, 0.0, or what a verifier with partial credit gives; `None` where the row cannot
            be graded.
        reason (`str`): Why, in a few words.
        timed_out (`bool`): Whether the verifier was ended at its deadline.
        died (`bool`): Whether the verifier's process ended by itself, as for want of memory.
        cached (`bool`): Whether the verdict was known from the same answer to the same question.
    """

    score: float | None
    reason: str
    timed_out: bool = False
    died: bool = False
    cached: bool = False


class Grader:
    """Grades batches of rows in a worker pool of its own. Any number of threads may use it.

    Args:
        workers, deadline, memory_mb: See [`~r1_trl.verifiers.pool.WorkerPool`].

    >>> grades = Grader(workers=1).grade([Row("$4$", "4"), Row("5", "4"), Row(None, "4"), Row("4", "B")])
    >>> [(grade.score, grade.reason) for grade in grades]
    [(1.0, 'right'), (0.0, 'wrong'), (0.0, 'no answer'), (None, 'the solution cannot be graded')]
    """

    def __init__(self, workers: int | None = None, deadline: float = 5.0, memory_mb: int = 2048) -> None:
        self.pool = WorkerPool(workers, deadline, memory_mb)
        self._known: dict[bytes, Outcome] = {}
        self._hopeless: set[Row] = set()  # golds
        self._lock = threading.Lock()

    def grade(self, rows: Sequence[Row]) -> list[Grade]:
        """Grades a batch.

        Args:
            rows (`Sequence[Row]`): B rows.

        Returns:
            `list[Grade]`: B grades, in the same order.

        Raises:
            [`~r1_trl.errors.InputError`]: A verifier is not known, or cannot work here.
            `RuntimeError`: A verifier failed; with its traceback.
        """
        keys = [_key(row) for row in rows]
        with self._lock:
            outcomes = {key: self._known[key] for key in keys if key in self._known}
            if self._hopeless:
                late = [key for key, row in zip(keys, rows, strict=True) if _gold(row) in self._hopeless]
                outcomes |= dict.fromkeys(late, _HOPELESS)
        unknown: dict[bytes, Row] = {}
        for key, row in zip(keys, rows, strict=True):
            if key not in outcomes and row.solution is not None and row.solution.strip():
                unknown.setdefault(key, row)
        judged = dict(zip(unknown, self.pool.map([_task(row) for row in unknown.values()]), strict=True))
        golds = {key: _gold(row) for key, row in unknown.items() if judged[key].end == "timed out"}
        self._judge_alone(list(dict.fromkeys(golds.values())))
        judged |= {key: _HOPELESS for key, gold in golds.items() if gold in self._hopeless}
        self._remember(judged)
        outcomes |= judged
        grades = []
        for key, row in zip(keys, rows, strict=True):
            first = unknown.pop(key, None) is not None  # its repetitions need no verdict of their own
            grades.append(_grade(row, outcomes.get(key, _NO_SOLUTION), cached=key in outcomes and not first))
        return grades

    def _judge_alone(self, golds: list[Row]) -> None:
        """Tells rows whose gold takes too long, whatever the answer, from those whose answer does."""
        ends = [outcome.end for outcome in self.pool.map([_task(gold) for gold in golds])]
        with self._lock:
            self._hopeless |= {gold for gold, end in zip(golds, ends, strict=True) if end == "timed out"}

    def _remember(self, judged: dict[bytes, Outcome]) -> None:
        with self._lock:
            # One that was not in time may be the next time.
            self._known |= {key: outcome for key, outcome in judged.items() if outcome.end == "judged"}
            for key in list(self._known)[: max(0, len(self._known) - _REMEMBERED)]:
                del self._known[key]


@lru_cache
def get_grader(workers: int | None, deadline: float, memory_mb: int) -> Grader:
    """The grader with these settings, one for the whole process.

    >>> get_grader(None, 5.0, 2048) is get_grader(None, 5.0, 2048)
    True
    """
    return Grader(workers, deadline, memory_mb)


def check_row(verifier: str | None, args: str | None) -> None:
    """Refuses what would stop a run at its first answer.

    Args:
        verifier (`str` or `None`): The row's verifier.
        args (`str` or `None`): The row's `verifier_args`, JSON text. What is no JSON object is not refused: its row
            will be `None`.

    Raises:
        [`~r1_trl.errors.InputError`]: The verifier is not known, or lacks an extra, a compiler or its sandbox; or
            `args` are no text.
    """
    if args is not None and not isinstance(args, str):
        raise InputError(
            f"`verifier_args` is a {type(args).__name__}: it must be text, JSON of an object: {args!r:.100}"
        )
    _seconds(verifier or DEFAULT_VERIFIER, args)


@lru_cache(maxsize=256)  # the answers to a question share its arguments, which may be long
def _seconds(verifier: str, args: str | None) -> float | None:
    """The deadline that a verifier asks for, once it has checked that it can work."""
    verify = get_verifier(verifier)
    try:
        parsed = read_args(args) if hasattr(verify, "check") or hasattr(verify, "seconds") else None
    except ValueError:
        parsed = None  # told where the row is judged
    if hasattr(verify, "check"):
        verify.check(parsed)
    return verify.seconds(parsed) if hasattr(verify, "seconds") else None


def _key(row: Row) -> bytes:
    return blake2b(json.dumps(row).encode(), digest_size=16).digest()


def _gold(row: Row) -> Row:
    """The row without an answer: all answers to a question share it."""
    return row._replace(answer=None)


def _task(row: Row) -> Task:
    check_row(row.verifier, row.args)
    # A gold that cannot be graded is None for a completion without an answer too: otherwise only the ones that do
    # answer would leave the group, and the rest would be compared with nobody.
    seconds = _seconds(row.verifier_name, row.args)
    return Task(row.verifier_name, row.answer or "", row.solution or "", row.args, seconds)


def _grade(row: Row, outcome: Outcome, cached: bool) -> Grade:
    verdict, ended = outcome.verdict, (outcome.end == "timed out", outcome.end == "died")
    if verdict is None:
        return Grade(None, outcome.reason or "the solution cannot be graded", *ended, cached)
    if row.answer is None:
        return Grade(0.0, "no answer", *ended, cached)
    reason = outcome.reason or {1.0: "right", 0.0: "wrong"}.get(float(verdict), "right in part")
    return Grade(float(verdict), reason, *ended, cached)
