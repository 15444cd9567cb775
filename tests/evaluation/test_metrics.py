"""The statistics against closed forms, against enumeration and against simulation."""

import itertools
import time
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from r1_trl.evaluation import metrics
from r1_trl.evaluation.metrics import bootstrap_ci95, bootstrap_means, pass_at_1, pass_at_k


def verdicts_of(n, *right):
    """One row a question with so many right answers out of n."""
    return np.array([[1.0] * c + [0.0] * (n - c) for c in right])


def test_pass_at_1_is_a_mean_of_means():
    assert pass_at_1(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.5)


@pytest.mark.parametrize("n", range(1, 7))
def test_pass_at_k_is_the_mean_over_all_subsets(n):
    for right in range(n + 1):
        answers = [1] * right + [0] * (n - right)
        for k in range(1, n + 1):
            subsets = [max(chosen) for chosen in itertools.combinations(answers, k)]
            assert pass_at_k(verdicts_of(n, right), k) == pytest.approx(sum(subsets) / len(subsets), abs=1e-12)


@pytest.mark.parametrize(("n", "right", "k"), [(64, 3, 32), (1000, 1, 100), (1000, 500, 2), (4096, 40, 64)])
def test_pass_at_k_is_the_closed_form_where_binomials_are_huge(n, right, k):
    exact = 1 - Fraction(comb(n - right, k), comb(n, k))
    assert pass_at_k(verdicts_of(n, right), k) == pytest.approx(float(exact), rel=1e-12)


def test_pass_at_k_of_one_answer_is_pass_at_1_and_of_all_is_whether_any_is_right():
    verdicts = verdicts_of(8, 0, 3, 8, 1)
    assert pass_at_k(verdicts, 1) == pytest.approx(pass_at_1(verdicts))
    assert pass_at_k(verdicts, 8) == pytest.approx(0.75)


def test_pass_at_k_counts_full_marks_alone():
    assert pass_at_k(np.array([[0.9, 0.5], [1.0, 0.5]]), 2) == 0.5


@pytest.mark.parametrize("k", [0, 3])
def test_pass_at_k_needs_as_many_answers(k):
    with pytest.raises(ValueError, match="there are 2"):
        pass_at_k(np.ones((1, 2)), k)


@pytest.mark.parametrize(
    "values", [[0.0, 0.25, 1.0], [0.0, 0.125, 0.5, 1.0], [1.0, 0.0, 1.0, 1.0], [0.5, 0, 0.5, 0, 1]]
)
def test_bootstrap_draws_what_enumeration_says(values):
    size, resamples = len(values), 20_000
    drawn = bootstrap_means(np.array(values), resamples)
    exact: dict[float, float] = {}
    for chosen in itertools.product(values, repeat=size):
        exact[sum(chosen) / size] = exact.get(sum(chosen) / size, 0) + size**-size
    assert set(drawn) <= set(exact)
    for mean, probability in exact.items():
        deviation = np.sqrt(probability * (1 - probability) / resamples)
        assert (drawn == mean).mean() == pytest.approx(probability, abs=4.5 * deviation), mean


def test_many_questions_take_no_longer():
    values = np.random.default_rng(7).binomial(16, 0.4, size=12_000) / 16
    started = time.process_time()
    means = bootstrap_means(values)
    assert time.process_time() - started < 1
    assert means.mean() == pytest.approx(values.mean(), abs=1e-4)
    assert means.std() == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.03)


def test_interval_is_that_of_the_enumerated_bootstrap():
    values = np.array([0.0, 0.1, 0.35, 1.0])
    means = [np.mean(chosen) for chosen in itertools.product(values, repeat=4)]
    low, high = np.percentile(means, [2.5, 97.5])
    assert bootstrap_ci95(values[:, None], resamples=100_000) == pytest.approx((low, high), abs=1e-9)


def test_bootstrap_is_the_same_in_blocks(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_means(values, 1000)
    monkeypatch.setattr(metrics, "_CELLS", 50 * 7)
    assert bootstrap_means(values, 1000) == pytest.approx(whole, abs=1e-12)


def test_interval_matches_the_normal_approximation():
    rng = np.random.default_rng(0)
    verdicts = rng.binomial(1, 0.3, size=(2000, 1)).astype(float)
    low, high = bootstrap_ci95(verdicts)
    mean = verdicts.mean()
    half_width = 1.96 * np.sqrt(mean * (1 - mean) / 2000)
    assert (low, high) == pytest.approx((mean - half_width, mean + half_width), abs=0.002)


@pytest.mark.parametrize(
    ("questions", "n", "a", "b", "share", "reason"),
    [
        (200, 16, 2, 3, 0.95, "many questions"),
        (30, 64, 0.5, 0.5, 0.94, "as few as AIME's"),
        (10, 64, 0.5, 0.5, 0.91, "fewer still: too narrow"),
        (30, 64, 0.2, 2, 0.90, "few and hard: too narrow"),
    ],
)
def test_how_often_the_interval_covers_the_truth(questions, n, a, b, share, reason):
    rng, covered = np.random.default_rng(1), 0
    for trial in range(400):
        ability = rng.beta(a, b, size=questions)  # questions differ; the truth is a / (a + b)
        low, high = bootstrap_ci95(rng.binomial(n, ability)[:, None] / n, resamples=1000, seed=trial + 2)
        covered += low <= a / (a + b) <= high
    assert covered / 400 == pytest.approx(share, abs=0.03), reason


def test_more_answers_to_one_question_are_no_new_evidence():
    verdicts = np.array([[1.0], [0.0], [1.0], [0.0]])
    assert bootstrap_ci95(verdicts) == bootstrap_ci95(np.repeat(verdicts, 16, axis=1))
