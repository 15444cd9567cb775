"""Hostile answers, through the accuracy reward and off the main thread: no hang, no crash, no other verdict.

What each costs at most is its deadline; what code does to a sandbox is in test_code.py.
"""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.completion import parse_completion
from r1_trl.rewards import AccuracyReward
from r1_trl.verifiers import _BUILT_IN, get_verifier
from r1_trl.verifiers.grading import Grader, Row
from tests.benchmarks.answers import batch, integer_question, symbolic_question
from tests.verifiers.hostile import HOSTILE
from tests.verifiers.test_sandbox import needs_sandbox

DEADLINE, WORKERS = 2.0, 2
# name -> (golds, verifier_args)
ROWS = {
    "math": (["4", "x+1", "(1,2)", r"\text{B}"], None),
    "choice": (["B"], '{"options": ["4", "5", "6"]}'),
    "exact": (["4"], None),
    "code": (["reference"], '{"tests": [{"input": "", "output": "4"}]}'),
    "reasoning_gym": (["4"], '{"task": "simple_equations"}'),
}


def off_the_main_thread(function):
    """The result and the seconds of a call in a thread."""
    result = []

    def call():
        start = time.monotonic()
        result.extend([function(), time.monotonic() - start])

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(300)
    assert len(result) == 2, "it failed or hangs"
    return result


def test_every_built_in_verifier_is_here():
    assert ROWS.keys() == _BUILT_IN.keys()


@pytest.mark.parametrize("verifier", ["math", "choice", "exact"])
def test_every_hostile_answer_is_wrong(verifier):
    golds, args = ROWS[verifier]
    rows = [Row(answer, golds[0], verifier, args) for answer in HOSTILE]
    grades, seconds = off_the_main_thread(lambda: Grader(workers=WORKERS, deadline=1.0).grade(rows))
    right = {ascii(answer[:20]) for answer, grade in zip(HOSTILE, grades, strict=True) if grade.score != 0.0}
    # Marks that say how a text runs are no part of it, and an Arabic 4 is a 4.
    assert right <= {ascii("\u202e4\u202c"), ascii("\u200f\u0664"), ascii("1e999999999")}
    assert seconds < len(HOSTILE) / WORKERS * 1.5 + 5


def test_eight_hostile_answers_cost_their_deadlines_and_change_nothing():
    """Eight among 512 good ones may take deadline × ⌈8 / workers⌉ + 2 seconds more, and every other verdict stays."""
    completions, golds = [], []
    for make_question, seed in ((integer_question, 1), (symbolic_question, 2)):
        texts, solutions = batch(make_question, 16, 16, seed)
        completions += texts
        golds += solutions
    hostile = [
        "10^{10^{10}}",
        "9^{9^{9^{9}}}",
        r"\sum_{k=1}^{10^9}k^{-2}",
        "(1+x)^{2000}",
        "10!!!",
        "7" * 10_000_000,
        "{" * 10_000 + "4" + "}" * 10_000,
        "\x00\ud800\u202e4",
    ]
    places = [3 + 64 * i for i in range(len(hostile))]
    mixed, mixed_golds = list(completions), list(golds)
    for place, answer in zip(places, hostile, strict=True):
        mixed.insert(place, f"<think>r</think><answer>{answer}</answer>")
        mixed_golds.insert(place, "x+1")
    warm = AccuracyReward(workers=WORKERS, deadline=DEADLINE, memory_mb=2000)
    warm(completions[:1], golds[:1])
    expected, without = off_the_main_thread(lambda: warm(completions, golds))
    other = AccuracyReward(workers=WORKERS, deadline=DEADLINE, memory_mb=2001)  # verdicts of its own
    other(completions[:1], golds[:1])
    scores, seconds = off_the_main_thread(lambda: other(mixed, mixed_golds))
    assert [scores[place] for place in places] == [0.0] * len(hostile)
    assert [score for place, score in enumerate(scores) if place not in places] == expected
    assert 0 < sum(expected) < len(expected)
    assert seconds < without + DEADLINE * -(-len(hostile) // WORKERS) + 2


text = st.text(max_size=60) | st.text("4xB()[]{}\\$^_!,.= <>/|&%-\x00\ud800\u202e答", max_size=60)
tags = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "}", "```python\n", "```"])


@settings(max_examples=400, deadline=None)
@given(st.lists(text | tags, max_size=12).map("".join), st.booleans(), st.booleans())
def test_any_text_is_a_completion(completion, think_opened, answer_tags):
    parsed = parse_completion(completion, think_opened=think_opened, answer_tags=answer_tags)
    assert parsed.well_formed is (parsed.problem is None)


@pytest.mark.parametrize("name", ["math", "choice", "exact", "reasoning_gym"])
@settings(max_examples=100, deadline=None)
@given(answer=st.lists(text | tags, max_size=6).map("".join), gold=text)
def test_any_answer_and_any_gold_have_a_verdict(name, answer, gold):
    assert get_verifier(name)(answer, gold, None) in (True, False, None)


@needs_sandbox
@settings(max_examples=40, deadline=None)
@given(
    answer=st.lists(text | tags, max_size=6).map("".join),
    args=st.fixed_dictionaries(
        {"tests": st.just([{"input": "", "output": "4"}])},
        optional={
            "language": st.sampled_from(["python", "cpp", "cobol", 3]),
            "time_limit": st.sampled_from([1, 1e-6, -1, "2", None]),
            "memory_limit_mb": st.sampled_from([64, 0.5, 0, True]),
            "partial_credit": st.sampled_from([True, 1]),
        },
    ),
)
def test_any_program_has_a_verdict(answer, args):
    verdict = get_verifier("code")(answer, "-", args)
    assert verdict is None or 0 <= float(verdict) <= 1


@pytest.mark.parametrize("name", ["math", "choice", "exact"])
@settings(max_examples=200, deadline=None)
@given(answer=st.lists(text | tags, max_size=6).map("".join))
def test_any_answer_is_right_or_wrong(name, answer):
    import json

    golds, args = ROWS[name]
    for gold in golds:
        assert get_verifier(name)(answer, gold, args and json.loads(args)) in (True, False)
