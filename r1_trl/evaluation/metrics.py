"""pass@1, its interval and cons@k: plain functions over verdicts.

Source: DeepSeek-R1 arXiv v2, appendix D.1: pass@1 = (1/k) Σ p_i, averaged over questions; cons@k is the majority's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Verdicts = npt.NDArray[np.float64]


def pass_at_1(verdicts: Verdicts) -> float:
    """Mean correctness over the answers of each question, then over questions.

    Args:
        verdicts (`ndarray` of shape `(Q, k)`): 1.0 for a right answer, 0.0 for a wrong one.

    >>> pass_at_1(np.array([[1.0, 0.0], [1.0, 1.0]]))
    0.75
    """
    return float(verdicts.mean(axis=1).mean())


def bootstrap_ci95(verdicts: Verdicts, resamples: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of pass@1, over questions: more answers to one question are no new evidence.

    Args:
        verdicts (`ndarray` of shape `(Q, k)`): As in [`pass_at_1`].
        resamples (`int`, *optional*, defaults to `10_000`): Resampled sets of Q questions.
        seed (`int`, *optional*, defaults to `0`): The same seed gives the same interval.

    Returns:
        `tuple[float, float]`: The 2.5 and 97.5 percentiles.

    >>> bootstrap_ci95(np.ones((8, 2)))
    (1.0, 1.0)
    """
    per_question = verdicts.mean(axis=1)  # (Q,)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(per_question), np.full(len(per_question), 1 / len(per_question)), size=resamples)
    means = counts @ per_question / len(per_question)  # (resamples,)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def majority_verdict(answers: Sequence[str | None], verdicts: Sequence[float]) -> float:
    """The verdict on the answer that most samples of one question give; among equals, the one given first.

    Args:
        answers (`Sequence[str | None]` of length k): Final answers; `None` where there is none, which has no vote.
        verdicts (`Sequence[float]` of length k): 1.0 or 0.0 for each.

    Returns:
        `float`: 0.0 when no sample has an answer.

    >>> majority_verdict(["4", "5", "4", None], [1.0, 0.0, 1.0, 0.0])
    1.0
    """
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return 0.0
    winner = votes.most_common(1)[0][0]
    return float(verdicts[list(answers).index(winner)])
