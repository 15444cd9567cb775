"""A row that shares a 10-gram with an evaluation set is found, and no other."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.tasks.arithmetic import question_rows
from r1_trl.tasks.decontamination import EvaluationIndex, ngrams, words

LONG = "A farmer has 17 sheep and all but nine of them die; how many are left?"
EXAM = [
    {"prompt": [{"role": "user", "content": LONG}], "solution": "9"},
    {"prompt": "What is 5 + 3 - 2?", "solution": "6"},
    {"prompt": "请问小明和小红一共有多少个苹果？", "solution": "42"},
    {
        "prompt": "Prove it.",
        "solution": "Since n squared is even, n is even as well, which contradicts the choice of n.",
    },
    {
        "prompt": "Show it.",
        "completion": "Let m be odd; then its square is odd because two odd numbers multiply.",
    },
    {
        "messages": [
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Light is scattered by air, and blue light far more than red light is."},
        ]
    },
]
FOUND = [
    ({"prompt": LONG}, (0, "question", "ngram"), "the same question"),
    ({"prompt": LONG.upper().replace(" ", "\n  ")}, (0, "question", "ngram"), "case and white space"),
    ({"prompt": "Riddle. " + LONG[:54] + " Good luck."}, (0, "question", "ngram"), "a part of ten words"),
    ({"prompt": "Tell me.", "solution": LONG}, (0, "question", "ngram"), "in the solution"),
    ({"text": f"Q: {LONG} A: 9"}, (0, "question", "ngram"), "in plain text"),
    (
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": LONG}]},
        (0, "question", "ngram"),
        "in an answer",
    ),
    ({"chosen": [{"role": "user", "content": LONG}], "rejected": []}, (0, "question", "ngram"), "in a pair"),
    ({"prompt": "what is  5 + 3 - 2?"}, (1, "question", "question"), "a short question that is equal"),
    ({"prompt": "What is 5+3-2 ?"}, (1, "question", "question"), "spaced in another way"),
    ({"prompt": "请问小明和小红一共有多少个梨？"}, (2, "question", "ngram"), "ten characters in a row"),
    ({"prompt": "x", "completion": EXAM[3]["solution"]}, (3, "solution", "ngram"), "a reference solution"),
    ({"prompt": "x", "solution": EXAM[4]["completion"]}, (4, "completion", "ngram"), "a reference completion"),
    (
        {"prompt": "x", "completion": EXAM[5]["messages"][1:]},
        (5, "messages", "ngram"),
        "a reference in the assistant's turn",
    ),
]
CLEAN = [
    ({"prompt": "What is 5 - 3 + 2?", "solution": "4"}, "the same numbers with other signs"),
    ({"prompt": "Please tell me: What is 5 + 3 - 2?"}, "a short question inside another"),
    ({"prompt": "What is 53 - 2?"}, "other numbers by the same digits"),
    ({"prompt": "How much is 40 + 2?", "solution": "42"}, "the same short solution"),
    ({"prompt": " ".join(words(LONG)[:9])}, "nine words in a row"),
    ({"prompt": "小明和小红一共有九个苹果。"}, "fewer than ten characters in a row"),
    ({"prompt": "All but nine of them die: a farmer has 17 sheep. How many does he have now?"}, "a paraphrase"),
    ({"prompt": [{"role": "system", "content": LONG}, {"role": "user", "content": "Hi."}]}, "a system prompt"),
    ({"prompt": None, "solution": None}, "an empty row"),
]


@pytest.fixture(scope="module")
def index():
    made = EvaluationIndex()
    made.add("exam", EXAM)
    return made


@pytest.mark.parametrize(("row", "where"), [pytest.param(*case[:2], id=case[2]) for case in FOUND])
def test_found(index, row, where):
    match = index.match(row)
    assert (match.source.row, match.source.column, match.kind) == where
    assert match.source.evaluation_set == "exam"
    assert match.kind == "question" or len(match.text.split()) == 10


@pytest.mark.parametrize("row", [pytest.param(row, id=reason) for row, reason in CLEAN])
def test_not_found(index, row):
    assert index.match(row) is None


def test_sums_of_the_embedded_task_are_not_dropped_for_their_likeness():
    """Eight words each, so only an equal question counts: none of 2,000, and every copy."""
    index = EvaluationIndex()
    test = question_rows("test", 500)
    index.add("test", test)
    assert not any(index.match(row) for row in question_rows("train", 2000))
    assert all(index.match(row) for row in test)


def test_what_all_evaluation_questions_say():
    instruction = "Reason step by step and put the final answer into a box at the end."
    rows = [{"prompt": f"{instruction} What is {number} + 1?"} for number in range(5)]
    row = {"prompt": f"{instruction} Which city is the capital of France?"}
    strict, lenient = EvaluationIndex(), EvaluationIndex(max_ngram_rows=4)
    for index in (strict, lenient):
        index.add("exam", rows)
    assert strict.match(row)
    assert lenient.match(row) is None
    assert lenient.match(rows[0])  # its own ten words, "... end. what is 0"


TEXT = st.lists(st.sampled_from(["a", "B", "1,5", "is", "?", "苹", "ก", "-", "x_1", "\n"]), max_size=12).map(" ".join)


@given(TEXT, TEXT, TEXT, st.integers(1, 4))
def test_against_brute_force(question, solution, text, size):
    index = EvaluationIndex(ngram_size=size)
    index.add("exam", [{"prompt": question, "solution": solution}])

    def windows(of):
        tokens = words(of)
        return {tuple(tokens[i : i + size]) for i in range(len(tokens)) if i + size <= len(tokens)}

    shared = windows(text) & (windows(question) | windows(solution))
    short = question.split() and len(words(question)) < size
    equal = short and question.casefold().split() == text.casefold().split()
    match = index.match({"text": text})
    assert (match is not None) == bool(shared or equal)
    if match and match.kind == "ngram":
        assert tuple(match.text.split(" ")) in shared


@given(st.text(), st.integers(1, 5))
def test_ngrams_of_any_text(text, size):
    tokens = words(text)
    assert list(ngrams(text, size)) == [" ".join(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    assert all(token and not token.isspace() for token in tokens)
    assert words("  ".join(tokens)) == list(itertools.chain(*map(words, tokens)))
