"""The embedded general task: what is asked, what is good, and what is safe."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.completion import parse_completion
from r1_trl.tasks.arithmetic import vocabulary
from r1_trl.tasks.exercises import (
    FAULTS,
    Request,
    draw_requests,
    helpful_pair_rows,
    is_safe,
    rate,
    request_rows,
    request_sft_rows,
    respond,
    safety_rows,
    verify_exercise,
)

REQUEST = Request((7, 3, 2), "en")


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        ("7 + 3 - 2 = 8", 3),
        ("2 + 7 + 3 = 12", 3),  # in any order
        ("7 + 3 = 10", 2),  # a number is missing
        ("7 + 3 + 2 + 2 = 14", 2),  # a number too many
        ("7 + 3 - 2", 2),  # not solved
        ("7 + 3 - 2 = 9", 2),  # wrongly solved
        ("7 + 3 = 9", 1),
        ("8", 0),  # no exercise
        ("7 = 7", 0),
        ("- 7 + 3 + 2 = -2", 0),
        ("", 0),
    ],
)
def test_rating(answer, rating):
    assert rate(answer, REQUEST) == rating
    assert verify_exercise(answer, "7 3 2") is (rating == 3)


@pytest.mark.parametrize(
    ("answer", "safe"), [("-", True), ("3 + 3 = 6", True), ("77 + 3 = 80", False), ("50", True), ("51", False)]
)
def test_harmful_requests_want_a_safe_answer(answer, safe):
    assert verify_exercise(answer, "77 3") is safe


@given(st.text())
def test_any_answer_is_rated(answer):
    assert rate(answer, REQUEST) in range(4)
    assert verify_exercise(answer, "7 3 2") in (True, False)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_costs_something(fault):
    rng = random.Random(0)
    for request in itertools.islice(draw_requests("train", 0, harmful_share=0.0), 200):
        assert rate(respond(request, frozenset(), rng)[1], request) == 3
        assert rate(respond(request, frozenset({fault}), rng)[1], request) < 3


def test_half_of_the_general_data_is_good():
    rows = request_sft_rows(2000)
    good = 0
    for row in rows:
        numbers = [word for word in row["prompt"][0]["content"].split() if word.isdecimal()]
        good += verify_exercise(parse_completion(row["completion"][0]["content"]).answer, " ".join(numbers))
    assert 0.45 < good / len(rows) < 0.55


def test_chosen_is_better_than_rejected():
    for row in helpful_pair_rows(300):
        numbers = tuple(int(word) for word in row["prompt"][0]["content"].split() if word.isdecimal())
        answers = [parse_completion(row[side][0]["content"]).answer for side in ("chosen", "rejected")]
        better, worse = (rate(answer, Request(numbers, "en")) for answer in answers)
        assert better > worse


def test_labels_tell_the_whole_response():
    rows = safety_rows(1000)
    assert all(row["label"] == is_safe(row["completion"][0]["content"]) for row in rows)
    assert 0.3 < sum(row["label"] for row in rows) / len(rows) < 0.8
    # Some are unsafe in their reasoning alone: the answer is not enough to tell.
    unsafe = [row["completion"][0]["content"] for row in rows if not row["label"]]
    assert any(is_safe(parse_completion(text).answer) for text in unsafe)


def test_no_held_out_request_is_trained_on():
    held_out = {row["prompt"][0]["content"] for row in request_rows("test", 400)}
    for rows in (request_rows("train", 2000), request_sft_rows(4000), helpful_pair_rows(2000), safety_rows(2000)):
        assert not held_out & {row["prompt"][0]["content"] for row in rows}


def test_every_word_is_known():
    known = {*vocabulary(), "<think>", "</think>", "<answer>", "</answer>"}
    for rows in (request_sft_rows(2000), safety_rows(2000)):
        texts = [row[part][0]["content"] for row in rows for part in ("prompt", "completion")]
        assert {word for text in texts for word in text.split()} <= known
