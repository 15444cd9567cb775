"""The exact verifier: which ways of writing a text are the same."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.verifiers.exact import normalised_text, verify_exact

# (answer, gold, reason)
RIGHT = [
    ("Paris", "Paris", "bare"),
    ("paris", "PARIS", "case"),
    ("STRASSE", "Straße", "case, folded"),
    ("  New \n\t York ", "New York", "white space"),
    ("New\u00a0York", "New York", "a space that does not break"),
    ("Ｐａｒｉｓ", "Paris", "full width"),
    ("＂Paris＂", "Paris", "full-width quotes"),
    ("ﬁn", "fin", "a ligature"),
    ("Cafe\u0301", "Café", "a composed accent"),
    ("**Paris**", "Paris", "bold"),
    ("_Paris_", "Paris", "italics"),
    ("`Paris`", "Paris", "code"),
    ("“Paris”", "Paris", "quotes"),
    ("'Paris'.", "Paris", "quotes and a full stop"),
    ("「巴黎」。", "巴黎", "Chinese quotes and full stop"),
    ("Paris!", "Paris", "an exclamation mark"),
    ("Paris...", "Paris", "dots"),
    (r"\boxed{Paris}", "Paris", "boxed"),
    (r"$\boxed{\text{Paris}}$.", "Paris", "dress in dress"),
    (r"\text{Paris}", r"\boxed{Paris}", "a dressed gold"),
    ("**`Paris`**", "Paris", "dress in dress"),
    ("\x00", "\x00", "a null byte"),
    ("\ud800", "\ud800", "half a surrogate pair"),
]
WRONG = [
    ("Rome", "Paris", "another text"),
    ("It is Paris", "Paris", "a sentence"),
    ("Paris or Rome", "Paris", "candidates"),
    ("Paris, Rome", "Paris", "candidates"),
    ("Pa ris", "Paris", "white space inside"),
    ("", "Paris", "nothing"),
    ("**", "Paris", "nothing but dress"),
    ("5!", "5", "a factorial"),
    (".5", "5", "a decimal point"),
    ("-5", "5", "a sign"),
    ("(1, 2)", "1, 2", "brackets mean something"),
    ("'a' and 'b'", "a' and 'b", "two pairs of quotes"),
    (r"\boxed{a}{b}", "a}{b", "two pairs of braces"),
    (r"\boxed{Paris", "Paris", "a box that is cut off"),
    (r"\boxed{Paris} \boxed{Rome}", "Paris", "two boxes"),
    ("Paris " * 10_000, "Paris", "too long to be an answer"),
]


@pytest.mark.parametrize(("answer", "gold", "reason"), RIGHT, ids=ascii)
def test_right(answer, gold, reason):
    assert verify_exact(answer, gold) is verify_exact(gold, answer) is True, reason


@pytest.mark.parametrize(("answer", "gold", "reason"), WRONG, ids=lambda value: ascii(value[:30]))
def test_wrong(answer, gold, reason):
    assert verify_exact(answer, gold) is False, reason


@pytest.mark.parametrize("gold", ["", " ", "...", "\\boxed{}", "\u00a0\n"])
def test_an_empty_gold_cannot_be_graded(gold):
    assert verify_exact("Paris", gold) is verify_exact(gold, gold) is None


def test_case_counts_where_it_is_asked_for():
    assert verify_exact("us", "US", {"ignore_case": False}) is False
    assert verify_exact("**ＵＳ**", "US", {"ignore_case": False}) is True
    assert verify_exact("us", "US", {"ignore_case": True}) is verify_exact("us", "US", {}) is True


text = st.text(max_size=30)
pieces = st.one_of(
    text,
    st.lists(st.sampled_from([*"aB !.*_$`'\"{}", "\\boxed{", "\\text{", "\x00", "\ud800"]), max_size=12).map("".join),
)


@settings(max_examples=300, deadline=None)
@given(pieces, pieces)
def test_equality_is_one(one, other):
    verdict = verify_exact(one, other)
    assert verdict in (True, False, None)
    assert verify_exact(one, one) in (True, None)
    if verdict is not None and verify_exact(one, one) is not None:
        assert verify_exact(other, one) is verdict


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=30).map(lambda word: "".join(filter(str.isalnum, word))).filter(bool),
    st.sampled_from(["{}", " {}\n", "**{}**", "\\boxed{{{}}}", "“{}”", "{}."]),
)
def test_dress_changes_nothing(word, dress):
    decomposed = unicodedata.normalize("NFD", word)
    assert normalised_text(dress.format(decomposed)) == normalised_text(word)
    assert normalised_text(normalised_text(word)) == normalised_text(word)


@pytest.mark.parametrize("piece", ["a", " ", "'", "\\text{", "*", "\ufdfa", "!", "{", "a}"], ids=ascii)
@pytest.mark.parametrize("length", [9_000, 10_000_000])
def test_hostile_answers_take_no_time(piece, length):
    answer = piece * (length // len(piece))
    start = time.perf_counter()
    assert verify_exact(answer, "b") is False
    assert time.perf_counter() - start < 1
