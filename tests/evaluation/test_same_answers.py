"""Equality of two answers says what the verifier says with one as the gold, and is quick where they differ."""

import time

import pytest

from r1_trl.verifiers.choice import same_choice
from r1_trl.verifiers.math import same_math, verify_math
from tests.verifiers.test_math import RIGHT, UNGRADABLE, WRONG


@pytest.mark.parametrize(("answer", "gold", "reason"), RIGHT + WRONG, ids=lambda value: ascii(value[:30]))
def test_math_agrees_with_the_verifier(answer, gold, reason):
    assert same_math(answer, gold) is verify_math(answer, gold), reason


@pytest.mark.parametrize(("answer", "reason"), UNGRADABLE)
def test_what_is_no_gold_equals_nothing(answer, reason):
    assert same_math("4", answer) is None, reason


@pytest.mark.parametrize(
    ("answer", "other", "expected"),
    [
        (r"\frac{x+1}{x^2-1}", r"\frac{1}{x-1}", True),
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        ("x+1", "y+1", False),
        (r"\frac{x+1}{x^2-2}", r"\frac{1}{x-1}", False),
        (r"\ln 4", r"2\ln 2", True),
        (r"\pi", "3.14", False),
        (r"\frac{1}{x-x}", r"\frac{2}{x-x}", False),
    ],
)
def test_expressions(answer, other, expected):
    assert same_math(answer, other) is expected
    assert same_math(other, answer) is expected


def test_expressions_that_differ_are_told_apart_without_algebra():
    answers = [rf"\frac{{{n}x+{n + 1}}}{{{n}x^2-{n + 2}}}" for n in range(2, 14)]
    for answer in answers:
        same_math(answer, answer)  # reads it
    started = time.perf_counter()
    assert not any(same_math(one, other) for one in answers for other in answers if one != other)
    assert time.perf_counter() - started < 0.5  # 132 pairs; math-verify alone takes several seconds


@pytest.mark.parametrize(
    ("answer", "other", "expected"),
    [
        ("So it is B.", "The answer is (b)", True),
        ("So it is B.", "Answer: C", False),
        ("Paris", "B", True),
        ("B", "either A or B", None),
        ("B", "no idea", None),
    ],
)
def test_choices(answer, other, expected):
    assert same_choice(answer, other, {"options": ["Rome", "Paris", "Bonn"]}) is expected


def test_choices_need_options_that_can_be_read():
    assert same_choice("B", "B", {"options": 4}) is None
