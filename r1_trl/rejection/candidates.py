"""An answer with all that is known of it, for the filters."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from r1_trl.completion import Completion, parse_completion
from r1_trl.sampling.sampler import Sample
from r1_trl.verifiers.grading import Row, get_grader


@dataclass(frozen=True)
class Candidate:
    """One answer.

    Args:
        question (`int`): Index of the question's row.
        number (`int`): Index among the answers to the question.
        row (`dict`): The question's row: `prompt`, and `solution`, `language`, `source` where it has them.
        sample ([`Sample`]): The answer.
        think_opened (`bool`): Whether the prompt has opened the thinking.
        parsed ([`Completion`]): Its reasoning, its final answer, and what is wrong with its form.
        verdict (`float` or `None`): 1.0 is right; `None` where nobody could grade it.
        reason (`str`): Of the verdict.
    """

    question: int
    number: int
    row: dict[str, Any]
    sample: Sample
    think_opened: bool
    parsed: Completion
    verdict: float | None = None
    reason: str = ""

    @property
    def asks(self) -> str:
        """The prompt as JSON: what is the same in rows that repeat a question, as those of a weighted mixture do."""
        return json.dumps(self.row["prompt"], sort_keys=True)


def make_candidates(
    rows: Sequence[dict[str, Any]],
    samples: Sequence[Sequence[Sample]],
    think_opened: Sequence[bool],
    answer_tags: bool = True,
) -> list[Candidate]:
    """Reads all answers; none has a verdict yet.

    Args:
        rows (`Sequence[dict]`): Q questions.
        samples (`Sequence[Sequence[Sample]]`): The answers to each.
        think_opened (`Sequence[bool]`): Whether each prompt has opened the thinking.
        answer_tags (`bool`, *optional*, defaults to `True`): See [`parse_completion`].
    """
    return [
        Candidate(
            question, number, row, sample, opened, parse_completion(sample.completion, opened, answer_tags=answer_tags)
        )
        for question, (row, answers, opened) in enumerate(zip(rows, samples, think_opened, strict=True))
        for number, sample in enumerate(answers)
    ]


def verify(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Grades by the rules: each with the verifier of its row, in the worker pool.

    Args:
        candidates (`Sequence[Candidate]`): Rows with `solution`, `verifier` and `verifier_args`, of which each may be
            missing.

    >>> sample = Sample("<think> 2 + 2 </think> <answer> 4 </answer>", 9, False)
    >>> [right] = verify(make_candidates([{"prompt": "2 + 2", "solution": "4"}], [[sample]], [False]))
    >>> right.verdict, right.reason
    (1.0, 'right')
    """
    rows = [
        Row(
            candidate.parsed.answer,
            candidate.row.get("solution"),
            candidate.row.get("verifier"),
            candidate.row.get("verifier_args"),
        )
        for candidate in candidates
    ]
    grades = get_grader(None, 5.0, 2048).grade(rows)
    return [
        replace(candidate, verdict=grade.score, reason=grade.reason)
        for candidate, grade in zip(candidates, grades, strict=True)
    ]


def pass_rates(candidates: Sequence[Candidate]) -> dict[str, float]:
    """The share of right answers among the graded ones, by [`Candidate.asks`]. Without a graded answer, there is none.

    >>> parsed = parse_completion("4")
    >>> answer = Candidate(0, 0, {"prompt": "2 + 2"}, Sample("4", 2, False), False, parsed)
    >>> pass_rates([replace(answer, verdict=1.0), replace(answer, verdict=0.0), answer])
    {'"2 + 2"': 0.5}
    """
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for candidate in candidates:
        if candidate.verdict is not None:
            verdicts[candidate.asks].append(candidate.verdict == 1)
    return {question: sum(right) / len(right) for question, right in verdicts.items()}
