"""The numbers of an evaluation: whom they leave out, how they are told apart, and what a person reads."""

import numpy as np
import pandas as pd
import pytest

from r1_trl.evaluation.summary import MAX_DIFFICULTIES, summarise
from r1_trl.evaluation.table import format_metrics


def table_of(*questions, **columns):
    """Samples of questions, each a list of (answer, correct); columns hold one value a question."""
    rows = [
        {
            "question": number,
            "answer": answer,
            "correct": correct,
            "num_tokens": 10 * (number + 1),
            "truncated": answer is None,
            "well_formed": float(answer is not None),
            "language_consistency": 1.0,
            "refused": False,
            "solution": "4",
            **{name: values[number] for name, values in columns.items()},
        }
        for number, answers in enumerate(questions)
        for answer, correct in answers
    ]
    return pd.DataFrame(rows)


RIGHT, WRONG, NONE = ("4", 1.0), ("5", 0.0), (None, 0.0)


def test_names_and_values():
    metrics = summarise(table_of([RIGHT, WRONG, WRONG, NONE], [RIGHT] * 4))
    assert list(metrics) == [
        *("pass@1", "pass@1_ci95", "pass@2", "pass@4", "cons@4", "mean_completion_tokens", "language_consistency"),
        *("well_formed", "truncated", "refused", "questions", "ungradable_questions", "num_generations"),
    ]
    assert (metrics["pass@1"], metrics["pass@2"], metrics["pass@4"], metrics["cons@4"]) == (0.625, 0.75, 1.0, 0.5)
    assert (metrics["truncated"], metrics["well_formed"], metrics["mean_completion_tokens"]) == (0.125, 0.875, 15.0)


def test_right_is_what_has_full_marks():
    """A verifier with partial credit: pass@1 is no more than pass@2, and cons@k none of what nobody has right."""
    part = ("0.7", 0.7)
    metrics = summarise(table_of([part] * 4, [RIGHT, RIGHT, RIGHT, part]))
    assert (metrics["pass@1"], metrics["pass@2"], metrics["pass@4"], metrics["cons@4"]) == (0.375, 0.5, 0.5, 0.5)
    assert metrics["mean_score"] == pytest.approx((0.7 + 3.7 / 4) / 2, abs=1e-4)
    assert "mean score, with partial credit: 0.812; all else" in format_metrics(metrics)


def test_what_was_not_measured_is_none():
    metrics = summarise(table_of([RIGHT, WRONG], [RIGHT, RIGHT], source=["a", "b"]).assign(language_consistency=None))
    assert metrics["language_consistency"] is metrics["by_source"]["a"]["language_consistency"] is None
    assert format_metrics(metrics).splitlines()[1].endswith("1.000         -")


def test_numbers_of_answers_that_differ():
    with pytest.raises(ValueError, match="question 1 has 1, question 0 has 2"):
        summarise(table_of([RIGHT, WRONG], [RIGHT]))


@pytest.mark.parametrize(("k", "powers"), [(1, []), (2, [2]), (3, [2]), (6, [2, 4]), (16, [2, 4, 8, 16])])
def test_pass_at_powers_of_two(k, powers):
    metrics = summarise(table_of([RIGHT] * k))
    assert [name for name in metrics if name.startswith("pass@")][2:] == [f"pass@{power}" for power in powers]


def test_a_sample_without_an_answer_has_no_vote():
    """Three of five samples have none: pandas keeps them as NaN, which is no answer that could win."""
    assert summarise(table_of([NONE, NONE, NONE, RIGHT, RIGHT]))["cons@5"] == 1.0


def test_equivalent_answers_vote_together():
    answers = [("1/2", 0.0), ("0.5", 0.0), ("50%", 0.0), RIGHT, RIGHT]
    assert summarise(table_of(answers))["cons@5"] == 0.0


def test_a_question_with_one_answer_that_has_no_verdict_is_left_out():
    metrics = summarise(table_of([RIGHT, ("x", None)], [RIGHT, WRONG], [("x", None)] * 2))
    assert (metrics["questions"], metrics["ungradable_questions"], metrics["pass@1"]) == (1, 2, 0.5)


def test_no_question_can_be_graded():
    metrics = summarise(table_of([("x", None)] * 2))
    assert (metrics["pass@1"], metrics["pass@2"], metrics["cons@2"], metrics["questions"]) == (None, None, None, 0)
    assert "-" in format_metrics(metrics)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, 2], ["2", "9", "10"]),
        ([1.5, 1.0, 10.0], ["1", "1.5", "10"]),
        (["hard", "easy", "medium"], ["easy", "medium", "hard"]),
        (["Hard", "zebra", "3"], ["3", "Hard", "zebra"]),
        ([5, None, 4], ["4", "5"]),
    ],
)
def test_by_difficulty(values, names):
    metrics = summarise(table_of([RIGHT], [WRONG], [RIGHT], difficulty=values))
    assert list(metrics["by_difficulty"]) == names
    assert sum(part["questions"] for part in metrics["by_difficulty"].values()) == len(names)


def test_a_difficulty_that_is_a_measurement_makes_no_groups():
    number = MAX_DIFFICULTIES + 1
    many = summarise(table_of(*[[RIGHT]] * number, difficulty=[float(n) for n in range(number)]))
    assert "by_difficulty" not in many
    sources = summarise(table_of(*[[RIGHT]] * number, source=[f"s{n}" for n in range(number)]))
    assert len(sources["by_source"]) == number


def test_parts_are_those_of_the_whole():
    table = table_of([RIGHT, WRONG], [RIGHT, RIGHT], [WRONG, WRONG], source=["a", "b", "a"])
    shuffled = table.sample(frac=1, random_state=0)
    for metrics in (summarise(table), summarise(shuffled)):
        assert metrics["by_source"]["a"]["pass@1"] == 0.25
        assert metrics["by_source"]["b"]["cons@2"] == 1.0


def test_same_table_same_numbers():
    rng = np.random.default_rng(0)
    table = table_of(*[[RIGHT if rng.random() < 0.5 else WRONG for _ in range(4)] for _ in range(50)])
    assert summarise(table) == summarise(table.copy())


def test_what_a_person_reads():
    table = table_of(
        [RIGHT, WRONG], [RIGHT, RIGHT], [("x", None)] * 2, source=["a", "b", "a"], difficulty=["hard", "easy", "hard"]
    )
    metrics = summarise(table.assign(refused=[True, False, False, False, False, False]))
    assert (
        format_metrics(metrics)
        == """\
               questions  pass@1    95% interval  cons@2  tokens  truncated  well-formed  language
all                    2   0.750  0.500 to 1.000   1.000    20.0      0.000        1.000     1.000
by source
  a                    1   0.500  0.500 to 0.500   1.000    20.0      0.000        1.000     1.000
  b                    1   1.000  1.000 to 1.000   1.000    20.0      0.000        1.000     1.000
by difficulty
  easy                 1   1.000  1.000 to 1.000   1.000    20.0      0.000        1.000     1.000
  hard                 1   0.500  0.500 to 0.500   1.000    20.0      0.000        1.000     1.000

at least one right of k answers (pass@k): 1.000 of 2
1 question cannot be graded and is left out of these
the server refused 16.7% of the answers, which count as wrong"""
    )
