"""A question is split by what it asks: whatever its case, spaces, template, place and company."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.prompts import base_prompt, chat_prompt
from r1_trl.tasks.questions import is_held_out, normalise, question_of

ONE = {"role": "user", "content": "What is 2 + 2?"}
SAME = [
    ({"prompt": "What is 2 + 2?"}, "text"),
    ({"prompt": "  what IS\n2 + 2? "}, "case and white space"),
    ({"prompt": "What is ２ ＋ ２？"}, "full width"),
    ({"prompt": [ONE]}, "a message"),
    ({"prompt": chat_prompt("What is 2 + 2?")}, "with a system message"),
    ({"prompt": base_prompt("What is 2 + 2?")}, "in R1-Zero's template"),
    ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "What is 2 + 2?"}]}]}, "blocks"),
    ({"prompt": None, "question": "What is 2 + 2?"}, "before it is a prompt"),
    ({"messages": [ONE, {"role": "assistant", "content": "4"}]}, "a conversation"),
    ({"chosen": [ONE, {"role": "assistant", "content": "4"}], "rejected": []}, "an implicit prompt"),
    ({"prompt": "What is 2 + 2?", "solution": "5"}, "another gold"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=reason) for row, reason in SAME])
def test_one_question_in_many_forms(row):
    assert normalise(question_of(row)) == "what is 2 + 2?"


def test_a_row_without_a_question():
    assert question_of({"solution": "4"}) == ""


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_out_the_same_and_more(question, one, other):
    low, high = sorted((one, other))
    assert is_held_out(question, high) or not is_held_out(question, low)


def test_shares_are_kept_and_salts_are_independent():
    questions = [f"question {number}" for number in range(10_000)]
    held = {question for question in questions if is_held_out(question, 0.1)}
    salted = {question for question in questions if is_held_out(question, 0.1, salt="other")}
    assert 900 < len(held) < 1100
    assert 50 < len(held & salted) < 150


def test_the_split_is_for_good():
    """A new version must not move a question to the other side."""
    assert [number for number in range(60) if is_held_out(f"What is {number} + 2?", 0.1)] == [24, 30, 36, 50]
