"""The statistics against closed forms and against simulation."""

import numpy as np
import pytest

from r1_trl.evaluation.metrics import bootstrap_ci95, majority_verdict, pass_at_1


def test_pass_at_1_is_a_mean_of_means():
    assert pass_at_1(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.5)


def test_interval_matches_the_normal_approximation():
    rng = np.random.default_rng(0)
    verdicts = rng.binomial(1, 0.3, size=(2000, 1)).astype(float)
    low, high = bootstrap_ci95(verdicts)
    mean = verdicts.mean()
    half_width = 1.96 * np.sqrt(mean * (1 - mean) / 2000)
    assert (low, high) == pytest.approx((mean - half_width, mean + half_width), abs=0.002)


def test_interval_covers_the_truth_in_95_of_100_cases():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(400):
        ability = rng.beta(2, 3, size=200)  # questions differ; the truth is 0.4
        low, high = bootstrap_ci95(rng.binomial(16, ability)[:, None] / 16, resamples=1000, seed=trial)
        covered += low <= 0.4 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_more_answers_to_one_question_are_no_new_evidence():
    verdicts = np.array([[1.0], [0.0], [1.0], [0.0]])
    assert bootstrap_ci95(verdicts) == bootstrap_ci95(np.repeat(verdicts, 16, axis=1))


@pytest.mark.parametrize(
    ("answers", "verdicts", "expected", "reason"),
    [
        (["4", "4", "5"], [1, 1, 0], 1.0, "the majority is right"),
        (["5", "5", "4"], [0, 0, 1], 0.0, "the majority is wrong"),
        ([None, None, None, "4"], [0, 0, 0, 1], 1.0, "no answer has no vote"),
        ([None, None], [0, 0], 0.0, "nobody votes"),
        (["5", "4"], [0, 1], 0.0, "among equals the first"),
    ],
)
def test_majority(answers, verdicts, expected, reason):
    assert majority_verdict(answers, verdicts) == expected, reason
