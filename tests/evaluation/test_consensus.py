"""The majority: over what answers say rather than how they say it, with few gradings, whatever the answers hold."""

import itertools
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.evaluation.consensus import Equality, count_votes, majority_scores
from r1_trl.verifiers import get_verifier
from r1_trl.verifiers.grading import Grader, Row


@pytest.fixture(scope="module")
def grader():
    grader = Grader(workers=1)
    yield grader
    grader.pool.close()


def winner(answers, scores, same=lambda one, other: False, compares=True):
    """The score of the winner, and the pairs that were compared."""
    votes, asked, reply = count_votes(answers, scores, compares), [], None
    while True:
        try:
            pair = next(votes) if reply is None else votes.send(reply)
        except StopIteration as decided:
            return decided.value, asked
        asked.append(pair)
        reply = Equality(pair[0] == pair[1] or same(*pair))


@pytest.mark.parametrize(
    ("answers", "scores", "expected", "reason"),
    [
        (["4", "4", "5"], [1, 1, 0], 1.0, "the majority is right"),
        (["5", "5", "4"], [0, 0, 1], 0.0, "the majority is wrong"),
        ([None, None, None, "4"], [0, 0, 0, 1], 1.0, "no answer has no vote"),
        (["", " \n", "", "4"], [0, 0, 0, 1], 1.0, "a blank answer has no vote"),
        ([None, None], [0, 0], 0.0, "nobody votes"),
        (["5", "4"], [0, 1], 0.0, "among equals the first"),
        (["4", "5"], [1, 0], 1.0, "among equals the first"),
        (["5", "6", "6", "4", "4"], [0, 0, 0, 1, 1], 0.0, "among equal classes the one seen first"),
        (["5", "4", "4", "6", "6"], [0, 1, 1, 0, 0], 1.0, "though another wrong answer came before"),
        (["4", " 4 ", "5", "5", "4\n"], [1, 1, 0, 0, 1], 1.0, "white space around it"),
        (["0.5", "0.5", "0.7"], [0.5, 0.5, 0.7], 0.5, "partial credit is the winner's"),
    ],
)
@pytest.mark.parametrize("compares", [True, False])
def test_majority(answers, scores, expected, reason, compares):
    assert winner(answers, scores, compares=compares)[0] == expected, reason


def test_all_right_answers_are_one():
    assert winner(["1/2", "0.5", "7", "7"], [1, 1, 0, 0])[0] == 1.0
    assert winner(["1/2", "0.5", "7", "7"], [1, 1, 0, 0], compares=False)[0] == 0.0


@pytest.mark.parametrize(
    ("answers", "scores", "reason"),
    [
        (["4", "4", "5"], [1, 1, 0], "the right ones have the majority"),
        (["5", "6", "7"], [0, 0, 0], "none is right"),
        (["4"] * 3 + ["5", "6"], [1, 1, 1, 0, 0], "all others together are too few"),
        (["5"] * 4 + ["4"] * 3, [0] * 4 + [1] * 3, "one wrong text has the majority already"),
    ],
)
def test_nothing_is_compared_that_decides_nothing(answers, scores, reason):
    pairs = [pair for pair in winner(answers, scores)[1] if pair[0] != pair[1]]
    assert pairs == [], reason


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)) | st.none(), min_size=1, max_size=12), st.booleans())
def test_winner_is_that_of_counting_classes(drawn, has_right):
    """An answer is a class and a way of writing it; class 0 is right."""
    answers = [None if one is None else f"{one[0]} {one[1]}" for one in drawn]
    scores = [float(has_right and one is not None and one[0] == 0) for one in drawn]
    score, pairs = winner(answers, scores, same=lambda one, other: one[0] == other[0])
    classes = [one[0] for one in drawn if one is not None]
    expected = Counter(classes).most_common(1)[0][0] == 0 if classes and has_right else False
    assert score == float(expected)
    texts = len({answer for answer in answers if answer is not None})
    assert len(pairs) <= texts + texts * (texts - 1) / 2


MANY_HALVES = ["1/2", "0.5", r"\frac{1}{2}", "50%", "3", "3", "3", "7"]


@pytest.mark.parametrize(
    ("verifier", "gold", "args", "answers", "expected", "reason"),
    [
        ("math", "3", None, MANY_HALVES, 0.0, "four halves beat three threes"),
        ("math", "0.5", None, [*MANY_HALVES[:3], "x+1", "1+x", "7"], 1.0, "three halves beat two sums"),
        ("math", "4", None, ["4", "4", "(x+1)^2", "x^2+2x+1", "(1+x)^2"], 0.0, "one polynomial"),
        ("math", "4", None, ["I do not know", "no idea", "who knows", "4", "4"], 1.0, "prose equals itself alone"),
        ("choice", "C", None, ["Answer: C", "So it is B.", "B", "The answer is B"], 0.0, "sentences name an option"),
        ("choice", "C", None, ["C", "Answer: C", "B or A", "A or B", "A, maybe B"], 1.0, "a doubt equals nothing"),
        ("exact", "Paris", None, ["Paris", "Rome", "**rome**.", r"\boxed{Rome}"], 0.0, "dress and case"),
        ("exact", "us", '{"ignore_case": false}', ["us", "us", "US", "Us", "uS"], 1.0, "the row's arguments hold"),
        ("tests.evaluation.equalities.one_way", "x", None, ["x", "ab", "abc"], 0.0, "either direction will do"),
        ("tests.evaluation.equalities.without_equality", "-", None, ["3", "2", "4", "3"], 0.0, "text alone"),
        ("tests.evaluation.equalities.without_equality", "-", None, ["2", "3", " 2."], 1.0, "normalised text"),
    ],
)
def test_majority_by_verifier(grader, verifier, gold, args, answers, expected, reason):
    rows = [Row(answer, gold, verifier, args) for answer in answers]
    scores = [grade.score for grade in grader.grade(rows)]
    assert majority_scores([list(zip(rows, scores, strict=True))], grader) == [expected], reason


@pytest.mark.parametrize("name", ["code", "reasoning_gym", "r1_trl.tasks.exercises.verify_exercise"])
def test_verifiers_that_compare_with_no_gold_have_no_equality(name):
    assert not hasattr(get_verifier(name), "equality")


def test_questions_are_compared_together(grader, monkeypatch):
    sizes, grade = [], grader.grade
    monkeypatch.setattr(grader, "grade", lambda rows: sizes.append(len(rows)) or grade(rows))
    answers = ["3", "11", "12", "13"]
    questions = [[(Row(answer, "3"), float(answer == "3")) for answer in answers] for _ in range(10)]
    assert majority_scores(questions, grader) == [1.0] * 10
    assert len(sizes) == 7  # a check of each of three texts, three pairs, and the last round without any
    assert max(sizes) == 20


HOSTILE = ["9^{9^{9^{9}}}", r"\boxed{" * 500, "((" * 2000, "x^{x^{x}}" * 40, "\ud800", r"\int" * 300, "0" * 100_000]


def test_hostile_answers_end():
    quick = Grader(workers=1, deadline=0.5)
    answers = ["4", "4", *HOSTILE]
    rows = [Row(answer, "4") for answer in answers]
    scores = [float(answer == "4") for answer in answers]
    started = time.monotonic()
    assert majority_scores([list(zip(rows, scores, strict=True))] * 3, quick) == [1.0] * 3
    assert time.monotonic() - started < 20
    quick.pool.close()


def test_the_order_of_answers_matters_among_equals_only():
    answers, scores = ["a", "a", "b", "c", "c", "c"], [1, 1, 0, 0, 0, 0]
    results = {
        winner([answers[i] for i in order], [scores[i] for i in order])[0]
        for order in itertools.permutations(range(6))
    }
    assert results == {0.0}
