"""Reflective words are counted as the paper lists them; changed answers by the rule in the docstring; all in linear
time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.tracking.reflection import CHINESE, ENGLISH, ReflectionWords, changed_answer, count_words
from tests.benchmarks.reflection import completions

WORDS = ReflectionWords()


@pytest.mark.parametrize(
    ("text", "reflective", "words"),
    [
        ("Wait, that is WRONG. However, but", 4, 6),
        ("waiter, checked, checking, errors, butter, abut, rewrite", 0, 7),  # other words, and other forms
        ("wait... wait—wait", 3, 3),
        ("等等，重新检查一下，错误", 4, 7),  # 11 characters
        ("但他不但来了", 0, 4),  # 但 alone is part of other words
        ("先wait一下", 1, 3),  # between Chinese characters
        ("butée", 0, 1),
        ("wait' isn't o'clock", 1, 3),
        ("12 + 3 = 15", 0, 0),
        ("", 0, 0),
    ],
)
def test_counts(text, reflective, words):
    assert (len(WORDS.find(text)), count_words(text)) == (reflective, words)


def test_the_paper_s_list():
    assert len(ENGLISH) == 10
    assert len(WORDS.find(" ".join(ENGLISH))) == 10
    assert len(WORDS.find("，".join(CHINESE))) == len(CHINESE)


def test_more_words():
    more = ReflectionWords(["Hold on", "慢着", "wait a moment"])
    assert len(more.find("hold on, uphold on. 慢着! Wait a moment")) == 3  # the longest once, not its parts
    assert len(more.find("check")) == 1


@pytest.mark.parametrize(
    ("reasoning", "answer", "changed"),
    [
        (r"So \boxed{7}. Wait, I forgot the 2.", "9", True),
        (r"So \boxed{9}. Wait, yes.", "9", False),
        (r"So \boxed{\frac{1}{2}}. Let me check.", "0.5", False),  # the same number
        (r"So \boxed{x+1}. Let me check.", "$x + 1$", False),
        (r"So \boxed{\dfrac{a}{b}}. Let me check.", r"\boxed{\frac{a}{b}}", False),
        ("The answer is 1,234. Wait.", "1234", False),
        ("The answer is 7, but I forgot the 2.", "The answer is 9.", True),
        ("The answer: **7**. But no.", "7", False),
        ("Answer = 7\nHowever it is 9", "9", True),
        ("The answer is Paris. Wait, check.", "paris", False),
        ("答案是7。等等，重新算。", "9", True),
        ("答案为：7。检查一下。", "7", False),
        ("The answer is 7. Wait, the answer is 9. Let me check.", "9", False),  # the last statement counts
        ("The answer is 7. Wait. The answer is 8. check", "7", True),
        ("Wait, the answer is 7.", "9", False),  # nothing stated before the reflective word
        ("The answer is 7.", "9", False),  # no reflective word
        ("2 + 5 = 7. Wait, and 7 + 2 = 9.", "9", False),  # a step is no statement
        ("The answer is not 7. But 9 is.", "9", False),
        ("The answer is wrong, check it.", "9", False),
        ("The answer is probably some very large number. But I check.", "9", False),
        ("The answer is 7. Wait.", None, False),  # cut off
        (r"So \boxed{7. Wait", "9", False),  # never closed
    ],
)
def test_changed_answers(reasoning, answer, changed):
    assert changed_answer(reasoning, answer, WORDS.find(reasoning)) is changed


@given(
    st.lists(st.sampled_from([*"Wwait, but检查等\n{}\\$.'4", "answer is ", r"\boxed{", "答案是", "wait "])).map(
        "".join
    )
)
def test_agrees_with_a_plain_reading(text):
    words = "|".join(sorted((*ENGLISH, *CHINESE), key=len, reverse=True))
    letter = r"[^\W\d_\u3400-\u9fff]"
    plain = rf"(?<!{letter})(?:{words})(?!{letter})" if text.isascii() else None
    found = WORDS.find(text)
    if plain:
        assert len(found) == len(re.findall(plain, text, re.IGNORECASE))
    assert changed_answer(text, "4", found) in (True, False)
    assert count_words(text) >= 0


@pytest.mark.parametrize(
    "piece",
    [r"\boxed{", r"\boxed{{", "{a}", "answer is ", "answer ", "a'", "等", "答案是", "wait ", "answer: 4, wait "],
)
def test_hostile_text_takes_linear_time(piece):
    text = r"\boxed{" + piece * (1_000_000 // len(piece)) + " wait"
    started = time.perf_counter()
    count_words(text)
    changed_answer(text, "4", WORDS.find(text))
    assert time.perf_counter() - started < 3.0  # 0.3 s measured


def test_a_step_of_long_completions_is_cheap():
    """512 completions of 6,500 characters; tests/benchmarks/reflection.json has what was measured."""
    texts = completions(512)
    started = time.process_time()
    for text in texts:
        count_words(text)
        changed_answer(text, "4", WORDS.find(text))
    assert time.process_time() - started < 2.0
