"""Grading that nobody asked for ends no run, and leaves out the same rows everywhere."""

import math

import pytest

from r1_trl import accuracy_reward, format_reward
from r1_trl.grpo.verdicts import VerdictGrader

RIGHT = "<think>so</think><answer>4</answer>"


def grade(grader, rows):
    size = len(rows)
    return grader.grade([0.0] * size, [False] * size, rows, ["2 + 2?"] * size, [RIGHT] * size)


@pytest.mark.parametrize(
    "bad",
    [
        {"solution": 4},
        {"solution": 4.0},
        {"solution": ["4"]},
        {"solution": {"value": "4"}},
        {"solution": True},
        {"solution": "4", "verifier": "no_such_verifier"},
        {"solution": "4", "verifier": 3},
        {"solution": "4", "verifier_args": {"tests": []}},
    ],
)
def test_a_row_that_the_verifiers_do_not_take_is_left_out_alone(bad, caplog):
    grader = VerdictGrader([format_reward], ["format_reward"])
    for _ in range(2):
        verdicts, columns = grade(grader, [{"solution": "4"}, bad, {"solution": "5"}, {"solution": None}])
        assert [verdicts[0], verdicts[2]] == [1.0, 0.0]
        assert all(map(math.isnan, (verdicts[1], verdicts[3])))
        assert columns == {}
    assert sum("no pass@1 from rows like this one" in record.message for record in caplog.records) == 1


def test_columns_only_beside_an_accuracy_reward():
    grader = VerdictGrader([accuracy_reward], ["accuracy_reward"])
    _, columns = grade(grader, [{"solution": "4"}])
    assert columns == {"solution": ["4"], "answer_parsed": ["4"], "verdict": ["right"]}
