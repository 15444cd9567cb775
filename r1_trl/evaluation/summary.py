"""From the table of samples to the numbers of an evaluation: of all questions, by source and by difficulty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from r1_trl.evaluation.consensus import majority_scores
from r1_trl.evaluation.metrics import FULL_MARKS, Verdicts, bootstrap_ci95, pass_at_1, pass_at_k
from r1_trl.verifiers.grading import Grader, Row, get_grader

GROUPS = ("source", "difficulty")  # columns by which the numbers are told apart
MAX_DIFFICULTIES = 20  # with more values, it is a measurement rather than a group
_SHARES = ("language_consistency", "well_formed", "truncated", "refused")
_WORDS = ("very easy", "easy", "medium", "hard", "very hard")


def summarise(table: pd.DataFrame, grader: Grader | None = None) -> dict[str, Any]:
    """The numbers of an evaluation. Questions that cannot be graded are counted, and left out of what is graded.

    Args:
        table (`DataFrame`): As [`~r1_trl.stages.evaluate.score_samples`] returns it.
        grader ([`~r1_trl.verifiers.grading.Grader`], *optional*): Compares answers for cons@k. By default the one of
            [`~r1_trl.rewards.accuracy_reward`].

    Returns:
        `dict`: `pass@1`, `pass@1_ci95`, `pass@2`, `pass@4` and so on and `cons@k`, all of answers with full marks;
            `mean_score` where some score is partial; and the rest. Under `by_source` and `by_difficulty` the same for
            each value of these columns, where they are there.

    Raises:
        ValueError: Questions have different numbers of answers.
    """
    sizes = table.groupby("question").size()
    if sizes.nunique() > 1:
        raise ValueError(
            f"questions need the same number of answers: question {sizes.idxmin()} has {sizes.min()}, question "
            f"{sizes.idxmax()} has {sizes.max()}"
        )
    consensus = _consensus(table, grader or get_grader(None, 5.0, 2048))
    numbers = table[["question", "correct", "num_tokens", *_SHARES]]  # without the texts, which each group would copy
    metrics = _numbers(numbers, consensus)
    for column in GROUPS:
        if column in table:
            labels = table[column].map(label, na_action="ignore")
            found = in_order(labels.dropna().unique())
            if found and (column == "source" or len(found) <= MAX_DIFFICULTIES):
                metrics[f"by_{column}"] = {name: _numbers(numbers[labels == name], consensus) for name in found}
    return metrics


def label(value: Any) -> str:
    """A value of a column as the name of a group: whole numbers without a point.

    >>> label(5.0), label("hard")
    ('5', 'hard')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def in_order(labels: Iterable[str]) -> list[str]:
    """Names of groups in the order of a table: numbers by their value, then easy to hard, then by the alphabet.

    >>> in_order(["10", "9", "hard", "easy", "other"])
    ['9', '10', 'easy', 'hard', 'other']
    """

    def key(name: str) -> tuple[int, float, str]:
        try:
            return 0, float(name), ""
        except ValueError:
            word = name.casefold()
            return (1, _WORDS.index(word), "") if word in _WORDS else (2, 0.0, name)

    return sorted(labels, key=key)


def _consensus(table: pd.DataFrame, grader: Grader) -> pd.Series:
    """Whether each gradable question's majority is right, by the question's number."""
    columns = ("answer", "correct", "solution", "verifier", "verifier_args")
    lists = {
        name: [None if missing else value for value, missing in zip(table[name], table[name].isna(), strict=True)]
        if name in table
        else [None] * len(table)
        for name in columns
    }
    questions: dict[int, list[tuple[Row, float | None]]] = {}
    for number, answer, correct, *rest in zip(table["question"], *lists.values(), strict=True):
        questions.setdefault(int(number), []).append((Row(answer, *rest), correct))
    graded = {
        number: [(row, score) for row, score in answers if score is not None]
        for number, answers in questions.items()
        if all(score is not None for _, score in answers)
    }
    scores = majority_scores(list(graded.values()), grader)
    return pd.Series([score >= FULL_MARKS for score in scores], index=list(graded), dtype=np.float64)


def _numbers(table: pd.DataFrame, consensus: pd.Series) -> dict[str, Any]:
    k = int(table.groupby("question").size().max())
    graded = table[table["question"].isin(consensus.index)].sort_values("question", kind="stable")
    questions = graded["question"].unique()
    return {
        **_accuracy(graded["correct"].to_numpy(dtype=np.float64).reshape(-1, k), consensus[questions], k),
        "mean_completion_tokens": round(float(table["num_tokens"].mean()), 2),
        **{name: _mean(table[name]) for name in _SHARES},
        "questions": len(questions),
        "ungradable_questions": int(table["question"].nunique() - len(questions)),
        "num_generations": k,
    }


def _mean(column: pd.Series) -> float | None:
    """`None` where nothing was measured."""
    measured = column.dropna().astype(np.float64)
    return round(float(measured.mean()), 4) if len(measured) else None


def _accuracy(scores: Verdicts, consensus: pd.Series, k: int) -> dict[str, Any]:
    powers = [2**power for power in range(1, k.bit_length())]
    names = ("pass@1", "pass@1_ci95", *(f"pass@{power}" for power in powers), f"cons@{k}")
    if not len(scores):  # of a source that no rule can grade
        return dict.fromkeys(names)
    verdicts = (scores >= FULL_MARKS).astype(np.float64)
    partial = (verdicts != scores).any()
    low, high = bootstrap_ci95(verdicts)
    shares = [pass_at_k(verdicts, power) for power in powers]
    return {
        "pass@1": round(pass_at_1(verdicts), 4),
        "pass@1_ci95": [round(low, 4), round(high, 4)],
        **{f"pass@{power}": round(share, 4) for power, share in zip(powers, shares, strict=True)},
        f"cons@{k}": round(float(consensus.mean()), 4),
        **({"mean_score": round(float(scores.mean()), 4)} if partial else {}),
    }
