"""The choice verifier: which option an answer names, and when it names none or leaves a choice."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.verifiers.choice import LETTERS, read_choices, verify_choice
from r1_trl.verifiers.reason import take_reason

CITIES = ["Rome", "Paris", "Oslo", "Bonn"]

# (answer, reason), the gold is B
RIGHT = [
    ("B", "bare"),
    ("(B)", "in brackets"),
    ("[B]", "in brackets"),
    ("B.", "a full stop"),
    ("B)", "half a bracket"),
    ('"B"', "quotes"),
    ("b", "lower case, alone"),
    ("(b)", "lower case, alone"),
    ("**B**", "bold"),
    ("`B`", "code"),
    ("$B$", "inline mathematics"),
    (r"\(B\)", "inline mathematics"),
    (r"\boxed{B}", "boxed"),
    (r"\boxed{b}", "boxed"),
    (r"\boxed{\text{B}}", "boxed text"),
    (r"$\boxed{\textbf{(B) }\text{Paris}}$", "AMC's form"),
    (r"\boxed{B}, that is \boxed{(B)}", "the same box twice"),
    (r"Option A is too small, C too big: \boxed{B}", "options outside the box"),
    ("It took long. " * 1_000 + r"\boxed{B}", "a box after a long text"),
    (r"\boxed{B}" + " It took long." * 1_000, "a box before a long text"),
    ("Ｂ", "full width"),
    ("（Ｂ）", "full-width brackets"),
    ("The answer is B", "a sentence"),
    ("The answer is: (B).", "a sentence with a colon"),
    ("**Answer:** B", "a bold cue"),
    ("ANSWER: B", "simple-evals' form"),
    ("answer: b", "lower case, alone after a cue"),
    ("Answer\nB", "a heading"),
    ("The correct option is B.", "a sentence"),
    ("The answer to the question is B.", "words inside the cue"),
    ("The answer is definitely B", "an adverb"),
    ("The answer is the option B", "a noun between"),
    ("option B", "a noun"),
    ("It is B", "a sentence"),
    ("It's B", "a sentence"),
    ("I think it is B", "the pronoun is no option"),
    ("I choose B", "the pronoun is no option"),
    ("I'd go with B", "the pronoun is no option"),
    ("A triangle has three sides, so the answer is B", "the article is no option"),
    ("B is correct", "praise"),
    ("B is the right answer", "praise"),
    ("B because it is warm", "at the beginning"),
    ("maybe B", "hardly sure, but one option"),
    ("B\n\nThe others are too small.", "at the beginning"),
    ("答案是B", "Chinese"),
    ("答案：（Ｂ）。", "Chinese, full width"),
    ("正确答案应为 B", "Chinese"),
    ("选B", "Chinese"),
    ("应该选择B项", "Chinese"),
    ("故选B。", "Chinese"),
    ("B选项正确", "Chinese"),
    ("B. Paris", "with a text"),
    ("B: Paris", "with a text"),
    ("(B) Paris", "with a text"),
    ("B - Paris", "with a text"),
    ("**B. Paris**", "bold, with a text"),
    ("B, that is B", "the same twice"),
    ("B and B", "the same twice"),
    ("The answer is B. So B.", "the same twice"),
    ("The answer is B because A is too small.", "another option as a reason"),
    ("The correct answer is **B**: Paris. A is too small, C too big.", "other options as a reason"),
    ("Answer: B\n\nA. is wrong\nC. is wrong", "the others refuted in a list"),
    ("Option A is wrong, so B", "one refuted"),
    ("A is wrong; the answer is B", "one refuted"),
    ("A is incorrect. C isn't correct. B is correct.", "the others refuted"),
    ("Not A, it is B", "one denied"),
    ("The answer is B, not A", "one denied"),
    ("The answer is B, not A or C", "two denied"),
    ("It is B not A", "one denied"),
    ("A or C would be odd. The answer is B.", "weighed before the cue"),
    ("A错了，选B", "one refuted in Chinese"),
    ("It took long. " * 1_000 + "The answer is B.", "a cue at the end of a long text"),
]
WRONG = [
    ("A", "another option"),
    ("The answer is C", "another option"),
    ("K", "no option"),
    ("", "nothing"),
    ("Paris", "a text that is not known"),
    ("BC", "no single letter"),
    ("C++", "no option"),
    ("vitamin B", "no cue"),
    ("B cells are cells of the immune system", "a word"),
    ("B or C", "candidates"),
    ("B/C", "candidates"),
    ("B, C", "candidates"),
    ("B C", "candidates"),
    ("A\nB\nC", "candidates"),
    ("both A and B", "candidates"),
    ("(B) or (C)", "candidates"),
    ("The answer is B or C", "candidates"),
    ("The answer is B, C", "candidates"),
    ("The answer is B. Or maybe C", "hedged"),
    ("It is B, perhaps (C)", "hedged"),
    ("B. Paris, or maybe C", "hedged"),
    ("B. Paris\nC. Oslo", "a list"),
    ("B. Paris. C. Oslo", "a list"),
    ("B. Paris. The answer is C", "two answers"),
    ("B\nThe answer is C", "two answers"),
    ("The answer is B. The answer is C.", "two answers"),
    ("A or B, but not C", "candidates"),
    ("A or B is correct", "candidates"),
    ("A and B is correct", "candidates"),
    ("I waver between A or B", "no cue"),
    ("选B或C", "candidates in Chinese"),
    ("A和B正确", "candidates in Chinese"),
    (r"\boxed{B} or \boxed{C}", "boxes that differ"),
    (r"The answer is A. \boxed{B}", "an answer beside the box"),
    (r"\boxed{B} \boxed{42}", "a box without an option"),
    (r"\boxed{B", "a box that is cut off"),
    (r"\boxed{B}" * 9, "more boxes than a person draws"),
    ("not B", "a negation"),
    ("The answer is not B", "a negation"),
    ("It isn't B", "a negation"),
    ("It can't be B", "a negation"),
    ("I don't think it is B", "a negation"),
    ("neither A nor B", "a negation"),
    ("anything but B", "a negation"),
    ("B is wrong", "a refutation"),
    ("(B) is wrong", "a refutation"),
    ("B is not correct", "a refutation"),
    ("The answer is B. B is wrong.", "a contradiction"),
    ("不是B", "a negation in Chinese"),
    ("B不对", "a refutation in Chinese"),
    ("Is it B?", "a question"),
    ("The answer is B?", "a question"),
    ("The answer is a B-cell", "a word"),
    ("The answer is B = 4", "a formula"),
    ("B " * 2_000, "too long to be an answer"),
]
# (answer, gold, options, verdict, reason)
WITH_OPTIONS = [
    ("Paris", "B", CITIES, True, "the option's text"),
    ("**paris**.", "B", CITIES, True, "the option's text, dressed"),
    (r"\boxed{\text{Paris}}", "B", CITIES, True, "the option's text, boxed"),
    ("The answer is Paris.", "B", CITIES, True, "the option's text after a cue"),
    ("The answer is Paris. It is warm.", "B", CITIES, True, "the option's text after a cue"),
    ("It is Paris", "B", CITIES, True, "the option's text after a cue"),
    ("B. Paris", "B", CITIES, True, "both"),
    ("B. Paris, the capital", "B", CITIES, True, "both, and more"),
    ("The answer is (B) Paris", "B", CITIES, True, "both after a cue"),
    ("B. It is warm", "B", CITIES, True, "a letter with a reason"),
    ("B", "Paris", CITIES, True, "the gold is a text"),
    ("Paris", "(B)", CITIES, True, "the gold in brackets"),
    ("B", "b", CITIES, True, "the gold in lower case"),
    ("Paris", "B", {"A": "Rome", "B": "Paris"}, True, "options by letter"),
    ("4.5", "C", ["4", "5", 4.5], True, "a number as a text"),
    ("D. Either A or B", "D", ["1", "2", "3", "Either A or B"], True, "letters in a text"),
    ("Both A and B", "C", ["1", "2", "Both A and B"], True, "letters in a text"),
    ("A", "A", ["B", "A"], True, "a letter before a text"),
    ("A", "B", ["B", "A"], False, "a letter before a text"),
    ("Rome", "B", CITIES, False, "another option's text"),
    ("A. Paris", "A", CITIES, False, "letter and text disagree"),
    ("A. Paris", "B", CITIES, False, "letter and text disagree"),
    ("(A) Paris, the capital", "A", CITIES, False, "letter and text disagree"),
    ("The answer is A. Paris", "A", CITIES, False, "letter and text disagree"),
    ("A: Rome\nB: Paris", "B", CITIES, False, "a list"),
    ("Rome or Paris", "B", CITIES, False, "candidates"),
    ("not Paris", "B", CITIES, False, "a negation"),
    ("London", "B", CITIES, False, "no option"),
    ("E", "B", CITIES, False, "a letter beyond the options"),
    ("Paris", "B", ["Paris", "Paris", "Oslo"], False, "several options"),
    ("B", "E", CITIES, None, "the gold is beyond the options"),
    ("B", "London", CITIES, None, "the gold is no option"),
    ("B", "A or B", CITIES, None, "the gold leaves a choice"),
    ("B", "Paris", ["Paris", "Paris"], None, "the gold is several options"),
    ("B", "Paris", None, None, "a text without options"),
    ("B", "42", None, None, "a number"),
    ("B", "K", None, None, "beyond J"),
    ("B", "", None, None, "nothing"),
    ("B", "B", "ABCD", None, "options of another form"),
    ("B", "B", [], None, "no options"),
    ("B", "B", {"x": "Paris"}, None, "options by no letter"),
    ("B", "B", ["x"] * 11, None, "more options than letters"),
]


@pytest.mark.parametrize(("answer", "reason"), RIGHT, ids=lambda value: ascii(value[:30]))
def test_right(answer, reason):
    assert verify_choice(answer, "B") is True, reason
    assert verify_choice(answer, "D") is False, reason


@pytest.mark.parametrize(("answer", "reason"), WRONG, ids=lambda value: ascii(value[:30]))
def test_wrong(answer, reason):
    assert verify_choice(answer, "B") is False, reason


@pytest.mark.parametrize(("answer", "gold", "options", "verdict", "reason"), WITH_OPTIONS)
def test_with_options(answer, gold, options, verdict, reason):
    assert verify_choice(answer, gold, {"options": options}) is verdict, reason


def test_reasons():
    assert (verify_choice("B or C", "B"), take_reason()) == (False, "two different choices")
    assert (verify_choice("who knows", "B"), take_reason()) == (False, "no choice")
    assert (verify_choice("B", "42"), take_reason()) == (None, "the gold is no option")
    assert (verify_choice("C", "B"), take_reason()) == (False, "")


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(
    "dress", ["{}", "({})", "{}.", "\\boxed{{{}}}", "The answer is {}.", "Option {}", "选{}", "{}. x"]
)
def test_every_letter_is_an_option(letter, dress):
    """The article and the pronoun among them."""
    for gold in LETTERS:
        assert verify_choice(dress.format(letter), gold) is (gold == letter)


@pytest.mark.parametrize("sentence", ["{} triangle has three sides", "The answer is {} triangle", "So {} am sure"])
def test_articles_and_pronouns_are_no_option(sentence):
    for letter in "AI":
        assert verify_choice(sentence.format(letter), letter) is False


text = st.text(max_size=40)
SIGNS = [*"ABIab().,:*$\\{}'\"/ \n选或不", "Ｂ", "\x00", "\ud800", "\ufdfa", "2"]
WORDS = [
    "\\boxed{",
    "\\text{",
    "answer is ",
    "Answer: ",
    "option ",
    "it is ",
    " or ",
    " and ",
    "not ",
    " is wrong",
    "Paris",
    "答案是",
]
pieces = st.one_of(text, st.lists(st.sampled_from(SIGNS + WORDS), max_size=14).map("".join))
options = st.one_of(st.none(), st.lists(st.one_of(text, st.sampled_from(CITIES)), min_size=1, max_size=10))


@settings(max_examples=400, deadline=None)
@given(pieces, pieces, options)
def test_any_text_gives_a_verdict(answer, gold, given_options):
    assert verify_choice(answer, gold, {"options": given_options}) in (True, False, None)


@settings(max_examples=400, deadline=None)
@given(pieces, options)
def test_at_most_one_gold_is_right(answer, given_options):
    """And whether a gold can be graded does not hang on the answer."""
    letters = LETTERS[: len(given_options)] if given_options else LETTERS
    verdicts = [verify_choice(answer, letter, {"options": given_options}) for letter in letters]
    assert None not in verdicts
    assert verdicts.count(True) <= 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*"BCD", *[word for word in WORDS if word != "Paris"], " ", ". "]), max_size=10).map(
        "".join
    )
)
def test_letters_are_alike(answer):
    """B, C and D exchanged in a text are exchanged in what is read."""
    swap, known = str.maketrans("BCD", "CDB"), dict.fromkeys(LETTERS, "")
    swapped = {letter.translate(swap) for letter in read_choices(answer, known)}
    assert read_choices(answer.translate(swap), known) == swapped


HOSTILE = [
    "B",
    " ",
    "\n",
    "(",
    "\\boxed{",
    "\\boxed{B} ",
    "\\boxed{a",
    "\\text{",
    "answer is ",
    "answer is B ",
    "not ",
    "A or ",
]
HOSTILE += ["\ufdfa", "**", "option ", "B,", "\\boxed{" + "{}" * 20]


@pytest.mark.parametrize("length", [2_000, 10_000_000])
@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_hostile_answers_take_no_time(piece, length):
    answer = piece * (length // len(piece))
    start = time.perf_counter()
    assert verify_choice(answer, "J", {"options": [*CITIES, *"vwxyz", "x" * 10_000]}) is False
    assert time.perf_counter() - start < 1
