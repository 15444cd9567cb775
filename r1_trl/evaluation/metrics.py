"""pass@1, pass@k and their bootstrap: plain functions over verdicts.

Sources: DeepSeek-R1 arXiv v2, appendix D.1: pass@1 = (1/k) Σ p_i, averaged over questions. Chen et al. 2021 (arXiv
2107.03374, equation 1): pass@k without bias. The paper gives no intervals; the bootstrap is Efron's, over questions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Verdicts = npt.NDArray[np.float64]

FULL_MARKS = 1.0  # a score below is partial, and no right answer
RESAMPLES = 10_000
_CELLS = 10_000_000  # counts drawn at once: 80 MB


def pass_at_1(verdicts: Verdicts) -> float:
    """Mean correctness over the answers of each question, then over questions.

    Args:
        verdicts (`ndarray` of shape `(Q, n)`): 1.0 for a right answer, 0.0 for a wrong one.

    >>> pass_at_1(np.array([[1.0, 0.0], [1.0, 1.0]]))
    0.75
    """
    return float(verdicts.mean(axis=1).mean())


def pass_at_k(verdicts: Verdicts, k: int) -> float:
    """The probability that at least one of k answers is right, without bias, averaged over questions.

    Of n answers c are right: 1 - C(n-c, k) / C(n, k), as a product whose factors lie between 0 and 1.

    Args:
        verdicts (`ndarray` of shape `(Q, n)`): As in [`pass_at_1`]; any other score is wrong.
        k (`int`): From 1 to n.

    Raises:
        ValueError: k is not from 1 to n.

    >>> pass_at_k(np.array([[1.0, 0.0, 0.0, 0.0]]), 2)
    0.5
    """
    n = verdicts.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} answers to a question, there are {n}")
    # C(n-c, k) / C(n, k) for c from 0 to n: one right answer more is one chance less to miss.
    factors = 1 - k / np.arange(n, 0, -1)
    misses = np.concatenate([[1.0], np.cumprod(factors.clip(min=0.0))])  # (n+1,)
    right = (verdicts >= FULL_MARKS).sum(axis=1)  # (Q,)
    return float(1 - misses[right].mean())


def bootstrap_means(values: Verdicts, resamples: int = RESAMPLES, seed: int = 0) -> Verdicts:
    """Means of resampled sets of questions.

    Questions with the same value are drawn together: how often each value occurs in a resample is multinomial. Shares
    of k answers take k + 1 values at most, so that many questions take no longer than few.

    Args:
        values (`ndarray` of shape `(Q,)`): One for each question.
        resamples (`int`, *optional*, defaults to `10_000`): Sets of Q questions, drawn with replacement.
        seed (`int`, *optional*, defaults to `0`): The same seed gives the same means.

    Returns:
        `ndarray` of shape `(resamples,)`.

    >>> bootstrap_means(np.array([0.5, 0.5]), resamples=3)
    array([0.5, 0.5, 0.5])
    """
    size, rng = len(values), np.random.default_rng(seed)
    found, firsts, counts = np.unique(values, return_index=True, return_counts=True)
    order = firsts.argsort()  # that of the questions: values with other signs draw the same sets
    found, shares = found[order], counts[order] / size
    block = max(1, _CELLS // len(found))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.concatenate([rng.multinomial(size, shares, size=drawn) @ found / size for drawn in sizes])


def bootstrap_ci95(verdicts: Verdicts, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of pass@1, over questions: more answers to one question are no new evidence.

    Args:
        verdicts (`ndarray` of shape `(Q, n)`): As in [`pass_at_1`].
        resamples (`int`, *optional*, defaults to `10_000`): Resampled sets of Q questions.
        seed (`int`, *optional*, defaults to `0`): The same seed gives the same interval.

    Returns:
        `tuple[float, float]`: The 2.5 and 97.5 percentiles.

    >>> bootstrap_ci95(np.ones((8, 2)))
    (1.0, 1.0)
    """
    low, high = np.percentile(bootstrap_means(verdicts.mean(axis=1), resamples, seed), [2.5, 97.5])
    return float(low), float(high)
