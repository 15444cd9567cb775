"""The comparison of two evaluations against enumeration and simulation."""

import itertools

import numpy as np
import pandas as pd
import pytest

from r1_trl.evaluation import comparison
from r1_trl.evaluation.comparison import FLIPS, compare_questions, compare_scores, sign_flip_test


def enumerated(differences):
    """The two-sided share of all sign patterns whose mean is at least as far from zero."""
    observed = abs(np.mean(differences)) - 1e-12
    patterns = itertools.product([1, -1], repeat=len(differences))
    means = [abs(np.mean(np.multiply(differences, signs))) for signs in patterns]
    return sum(mean >= observed for mean in means) / len(means)


@pytest.mark.parametrize(
    "differences",
    [[0.5], [0.1, 0.2, 0.3], [0.1, -0.2, 0.3, 0.0], [0.25] * 6, [0.5, -0.5], [0.3, 0.3, -0.1, 0.7, -0.2, 0.0, 0.9]],
)
def test_sign_flips_are_enumerated(differences):
    p_value, _ = sign_flip_test(np.array(differences))
    assert p_value == pytest.approx(enumerated(differences))


def test_random_flips_come_near_the_enumeration(monkeypatch):
    differences = np.random.default_rng(0).normal(0.3, 1, size=12)
    exact, patterns = sign_flip_test(differences)
    assert patterns == 2**12
    monkeypatch.setattr(comparison, "_ALL_PATTERNS", 0)
    p_value, patterns = sign_flip_test(differences)
    assert patterns == FLIPS + 1
    assert p_value == pytest.approx(exact, abs=4.5 * np.sqrt(exact * (1 - exact) / FLIPS))


def test_p_is_never_0():
    assert sign_flip_test(np.ones(200))[0] == 1 / (FLIPS + 1)
    assert sign_flip_test(np.zeros(200)) == (1.0, 1)


def test_the_size_of_a_block_does_not_matter():
    differences = np.random.default_rng(0).normal(size=3000)  # three blocks
    assert sign_flip_test(differences) == sign_flip_test(differences)
    assert 0 < sign_flip_test(differences)[0] <= 1


def test_p_is_uniform_under_the_null(monkeypatch):
    monkeypatch.setattr(comparison, "FLIPS", 999)
    rng, trials = np.random.default_rng(2), 500
    p_values = np.sort([sign_flip_test(rng.normal(size=40), seed)[0] for seed in range(trials)])
    distance = np.abs(p_values - np.arange(1, trials + 1) / trials).max()
    assert distance < 1.63 / np.sqrt(trials)  # Kolmogorov and Smirnov, at 1%


def test_p_keeps_its_level_for_two_evaluations_of_one_model(monkeypatch):
    monkeypatch.setattr(comparison, "FLIPS", 999)
    rng, small = np.random.default_rng(3), 0
    for seed in range(400):
        ability = rng.beta(1, 1, size=60)
        a, b = (rng.binomial(8, ability) / 8 for _ in range(2))
        small += sign_flip_test(b - a, seed)[0] <= 0.05
    assert 0.02 <= small / 400 <= 0.08


def test_interval_covers_the_truth_in_95_of_100_cases():
    rng, covered = np.random.default_rng(4), 0
    for seed in range(400):
        ability = rng.beta(2, 2, size=60)
        a, b = rng.binomial(8, 0.8 * ability) / 8, rng.binomial(8, ability) / 8  # the truth is 0.1
        low, high = compare_scores(a, b, resamples=500, seed=seed).ci95
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_pairing_makes_the_interval_narrow():
    ability = np.random.default_rng(5).random(200)
    found = compare_scores(ability, ability + 0.01)
    assert found.ci95 == pytest.approx((0.01, 0.01))
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert found.p_value == 1 / (FLIPS + 1)


def test_the_other_way_round_is_the_same_with_another_sign():
    rng = np.random.default_rng(6)
    a, b = rng.random(50), rng.random(50)
    forth, back = compare_scores(a, b), compare_scores(b, a)
    assert back.difference == pytest.approx(-forth.difference)
    assert back.ci95 == pytest.approx((-forth.ci95[1], -forth.ci95[0]))
    assert back.p_value == forth.p_value


def test_sources_and_order():
    questions = pd.DataFrame(
        {"score_a": [0.0, 0.5, 1.0], "score_b": [0.25, 0.5, 0.0], "source": ["sums", "sums", "words"]}
    )
    questions = questions.assign(mean_score_a=questions["score_a"], mean_score_b=questions["score_b"])
    found = compare_questions(questions, {})
    assert found.mean_score is None
    assert found.by_source["sums"].difference == pytest.approx(0.125)
    assert found.by_source["words"].difference == -1.0
    assert list(found.questions["change"]) == [-1.0, 0.25, 0.0]
    assert compare_questions(questions.head(2), {}).by_source == {}


def test_partial_credit_is_compared_apart():
    scores = {"score_a": [0.0, 0.5], "score_b": [0.5, 0.5], "mean_score_a": [0.5, 0.5], "mean_score_b": [0.75, 0.5]}
    found = compare_questions(pd.DataFrame({**scores, "source": None}), {})
    assert (found.overall.difference, found.mean_score.difference) == (0.25, 0.125)
