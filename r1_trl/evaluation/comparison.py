"""Two evaluations of the same questions: which is better, by how much, and could it be chance?

A question is the unit: its score is the share of its answers that are right, and more answers to it are no new
question. The interval is a percentile bootstrap of the differences question by question, which resamples both
evaluations alike.

p is that of a sign-flip permutation test, two-sided: if A and B were the same, each question's difference could as
well have the other sign. It is exact where both took the same number of answers; the share of all sign patterns, or of
9,999 random ones and the one observed, whose mean difference is at least as large. So it is never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from r1_trl.evaluation.metrics import Verdicts, bootstrap_means

FLIPS = 9_999
_ALL_PATTERNS = 13  # differences whose 2^13 sign patterns are gone through
_ROUNDING = 1e-12


class Difference(NamedTuple):
    """How much better B is than A.

    Args:
        questions (`int`): Q.
        a, b (`float`): pass@1, or the mean score.
        difference (`float`): b - a.
        standard_error (`float`): Of the difference, by the bootstrap.
        ci95 (`tuple[float, float]`): Its 95% interval.
        p_value (`float`): Above 0, at most 1.
        flips (`int`): Sign patterns that p is a share of, the observed one among them.
    """

    questions: int
    a: float
    b: float
    difference: float
    standard_error: float
    ci95: tuple[float, float]
    p_value: float
    flips: int


def compare_scores(a: Verdicts, b: Verdicts, resamples: int = 10_000, seed: int = 0) -> Difference:
    """Compares two evaluations question by question.

    Args:
        a, b (`ndarray` of shape `(Q,)`): Each question's score, in the same order.
        resamples (`int`, *optional*, defaults to `10_000`): Of the bootstrap.
        seed (`int`, *optional*, defaults to `0`): Of the bootstrap and of the flips.

    >>> found = compare_scores(np.array([0.0, 0.5, 0.5, 1.0]), np.array([1.0, 1.0, 1.0, 1.0]))
    >>> found.difference, found.p_value, found.flips
    (0.5, 0.25, 8)
    """
    differences = b - a
    means = bootstrap_means(differences, resamples, seed)
    low, high = np.percentile(means, [2.5, 97.5])
    p_value, flips = sign_flip_test(differences, seed)
    return Difference(
        questions=len(a),
        a=float(a.mean()),
        b=float(b.mean()),
        difference=float(differences.mean()),
        standard_error=float(means.std()),
        ci95=(float(low), float(high)),
        p_value=p_value,
        flips=flips,
    )


def sign_flip_test(differences: Verdicts, seed: int = 0) -> tuple[float, int]:
    """The two-sided p of a mean difference, if the sign of each difference were chance.

    Args:
        differences (`ndarray` of shape `(Q,)`): Of each question.
        seed (`int`, *optional*, defaults to `0`): Of the random patterns.

    Returns:
        `tuple[float, int]`: p, and the sign patterns that it is a share of.

    >>> sign_flip_test(np.array([0.1, 0.2, 0.3]))
    (0.25, 8)
    """
    moved = differences[differences != 0]
    count, observed = len(moved), abs(float(moved.sum()))
    if count <= _ALL_PATTERNS:
        bits = np.arange(2**count)[:, None] >> np.arange(count) & 1  # (2^count, count)
        extreme = _at_least(bits, moved, observed)
        return extreme / 2**count, 2**count
    rng = np.random.default_rng(seed)
    block = max(1, 10_000_000 // count)
    sizes = [min(block, FLIPS - start) for start in range(0, FLIPS, block)]
    extreme = sum(_at_least(rng.integers(0, 2, (size, count), dtype=np.int8), moved, observed) for size in sizes)
    return (extreme + 1) / (FLIPS + 1), FLIPS + 1


def _at_least(bits: np.ndarray, moved: Verdicts, observed: float) -> int:
    sums = np.abs((1 - 2 * bits) @ moved)
    return int((sums >= observed - _ROUNDING * max(1.0, observed)).sum())


@dataclass(frozen=True)
class Comparison:
    """Everything that `r1-trl compare` tells.

    Args:
        overall ([`Difference`]): Of all questions.
        mean_score ([`Difference`], *optional*): Of the scores with partial credit, where some are partial.
        by_source (`dict`): The same as `overall` for each source, where there are several.
        questions (`DataFrame`): One row a question: `question`, `solution`, `source`, `score_a`, `score_b`, `right_a`,
            `right_b`, `samples_a`, `samples_b` and `change`, the most changed first.
        left_out (`dict[str, int]`): Questions that are only in A or only in B, or cannot be graded.
    """

    overall: Difference
    mean_score: Difference | None
    by_source: dict[str, Difference]
    questions: pd.DataFrame
    left_out: dict[str, int]


def compare_questions(questions: pd.DataFrame, left_out: dict[str, int]) -> Comparison:
    """Compares two evaluations whose questions are matched.

    Args:
        questions (`DataFrame`): `score`, `mean_score` (both with `_a` and `_b` behind) and `source` of each question,
            at least one.
        left_out (`dict[str, int]`): See [`Comparison`].
    """

    def difference(part: pd.DataFrame, score: str = "score") -> Difference:
        return compare_scores(*(part[f"{score}_{side}"].to_numpy(np.float64) for side in "ab"))

    sources = sorted(questions["source"].dropna().unique())
    by_source = {name: difference(questions[questions["source"] == name]) for name in sources}
    changed = questions.assign(change=questions["score_b"] - questions["score_a"])
    order = changed["change"].abs().sort_values(ascending=False, kind="stable").index
    partial = any((questions[f"mean_score_{side}"] != questions[f"score_{side}"]).any() for side in "ab")
    mean_score = difference(questions, "mean_score") if partial else None
    by_source = by_source if len(sources) > 1 else {}
    return Comparison(difference(questions), mean_score, by_source, changed.loc[order], left_out)
