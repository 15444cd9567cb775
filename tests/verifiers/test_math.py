"""The math verifier: what is equal, what is not, and what must not hang."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_verify import parse, verify

from r1_trl.verifiers import math as math_verifier
from r1_trl.verifiers.math import verify_math

# (answer, gold, reason)
RIGHT = [
    ("4", "4", "bare"),
    ("$4$", "4", "inline"),
    ("$$4$$", "4", "display"),
    (r"\(4\)", "4", "LaTeX's brackets"),
    (r"\[4\]", "4", "display brackets"),
    (r"\boxed{4}", "4", "boxed"),
    (r"So $\boxed{4}$." + " It took long." * 500, "4", "a box in a long text"),
    (r"\boxed{4}, that is \boxed{ 4 }", "4", "the same box twice"),
    ("#### 4", "4", "GSM8K"),
    ("4", "Half of 8 is 4.\n#### 4", "GSM8K's gold with its solution"),
    ("**4**", "4", "bold"),
    ("4.", "4", "a full stop"),
    ("+4", "4", "a sign"),
    ("007", "7", "leading zeros"),
    ("The answer is 4.", "4", "a sentence"),
    ("The answer to the question is 4", "4", "a sentence without the cue"),
    ("**Final Answer:** 4", "4", "a heading"),
    ("Final Answer: The final answer is $4$. I hope it is correct.", "4", "Minerva's form"),
    ("So we get $x=4$", "4", "one formula in a sentence"),
    ("x = 4", "4", "an assignment"),
    ("4", "x = 4", "an assignment in the gold"),
    ("There are 4 apples.", "4", "one number in a sentence"),
    ("She earns $42 per day", "42", "a currency in a sentence"),
    (r"\$42", "42", "a currency"),
    ("4 cm", "4", "a unit"),
    ("4cm", "4", "a unit without a space"),
    ("4 cm^2", "4", "a unit with a power"),
    (r"4\text{ cm}", "4", "a unit in LaTeX"),
    (r"90^\circ", "90", "degrees"),
    ("90°", "90", "degrees as a sign"),
    ("1,234", "1234", "thousands"),
    (r"1{,}234", "1234", "thousands in LaTeX"),
    (r"1\,234", "1234", "a thin space"),
    ("-5", "−5", "the minus sign of Unicode"),
    ("４２", "42", "full-width digits"),
    ("答案是 42。", "42", "Chinese"),
    ("答案：42", "42", "Chinese with a colon"),
    ("1.0", "1", "a trailing zero"),
    ("1e3", "1000", "an exponent"),
    (r"1.5\times 10^{3}", "1500", "scientific"),
    ("3/4", "0.75", "a fraction"),
    ("0.75", r"\frac34", "LaTeX without braces"),
    (r"\dfrac{12}{16}", "3/4", "not reduced"),
    ("3 1/2", "3.5", "a mixed number"),
    (r"3\frac{1}{2}", "7/2", "a mixed number in LaTeX"),
    ("½", "0.5", "a fraction sign"),
    ("0.333333", "1/3", "six decimals, as math-verify"),
    ("50%", "0.5", "a share"),
    ("50%", "50", "the question asks for a percentage"),
    ("50 percent", r"50\%", "in words"),
    ("50%", "1/2", "a share as a fraction"),
    (r"\sqrt{16}", "4", "an expression with that value"),
    ("1+1+2=4", "4", "a chain that ends there"),
    ("4!", "24", "a factorial"),
    ("2**3", "8", "Python's power"),
    ("sqrt(2)", r"\sqrt{2}", "a plain name"),
    ("√2", r"\sqrt{2}", "a root sign"),
    (r"$\frac{\pi}{2}$", "π/2", "pi"),
    ("x+1", "1+x", "order"),
    ("2ba", "2ab", "a product; math-verify takes ab for a unit"),
    ("y=2x+1", "y = 1+2x", "an equation"),
    ("e^{x^2}", "e^{x^{2}}", "a tower"),
    (r"\sum_{k=1}^{4} 1", "4", "a sum with that value"),
    (r"\frac{1}{2}", r"\int_0^1 x\,dx", "an integral in the gold"),
    ("1+" * 250 + "1", "251", "a long expression"),
    (r"2\sqrt{3}", r"\sqrt{12}", "constants, by math-verify"),
    (r"(-\infty, 0.5]", r"(-\infty, \frac{1}{2}]", "an end written otherwise"),
    ("3+2i", "2i+3", "complex"),
    ("3>x", "x<3", "an inequality turned round"),
    ("p - q", "p-q", "letters with an operator"),
    ("a/b", r"\frac{a}{b}", "a quotient of letters"),
    ("n!", "n!", "a factorial of a letter"),
    ("|x|", "|x|", "a modulus"),
    ("f(x)", "f(x)", "a function"),
    (r"0.\overline{3}", "1/3", "a repeating decimal"),
    ("-1/6", r"-0.1\overline{6}", "a repeating decimal in the gold"),
    ("11111", r"11,\! 111", "MATH's thousands"),
    (r"(1,2)", r"\langle 1,2\rangle", "a vector in angles"),
    (r"5\frac{1}{2} feet", "5.5", "a mixed number with a unit"),
    ("1, 2", "2,1", "a list of solutions"),
    ("x=1 or x=2", "1, 2", "a list in words"),
    (r"\boxed{1} and \boxed{2}", "1,2", "a list in boxes"),
    ("(1,2)", "(1, 2)", "a point"),
    ("[1,2)", "[1, 2)", "an interval"),
    (r"(-\infty, 3]", r"$(-\infty,3]$", "an interval without an end"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "a matrix"),
    ("B", r"\text{B}", "a text that the gold marks as one"),
    ("The answer is (b).", r"\text{(B)}", "the same in a sentence"),
    (r"5\text{ million}", r"5 \text{ million}", "the same scale"),
]
WRONG = [
    ("5", "4", "another number"),
    ("-4", "4", "another sign"),
    ("4 or 5", "4", "candidates"),
    ("4, 5", "4", "candidates"),
    ("4; 5", "4", "candidates"),
    ("4 5", "4", "candidates"),
    ("4\n5", "4", "candidates"),
    ("4 and 5", "4", "candidates"),
    ("4/5", "4", "a fraction"),
    ("4 to 5", "4", "a range"),
    ("between 4 and 5", "4", "a range"),
    (r"\{4,5\}", "4", "a set"),
    (r"4 \pm 1", "4", "two values"),
    ("$4$ or $5$", "4", "two formulas"),
    ("5 = 4", "4", "false; math-verify takes the right side"),
    ("x=5=4", "4", "false; math-verify takes the right side"),
    (r"4 \approx 5", "4", "false; math-verify takes the left side"),
    (r"\boxed{4} or \boxed{5}", "4", "boxes that differ"),
    (r"\boxed{4}" * 9, "4", "more boxes than a person draws"),
    (r"\boxed{4", "4", "a box that is cut off"),
    ("#### 4 #### 5", "5", "two marks"),
    ("The answer is 4. The answer is 5.", "5", "two answers"),
    ("The answer is 5. The answer is 4.", "5", "two answers"),
    ("The answer is not 4", "4", "a negation"),
    ("The answer isn't 4", "4", "a negation"),
    ("not $4$", "4", "a negation"),
    ("more than 4", "4", "a bound"),
    ("4 or more", "4", "a bound"),
    ("x > 4", "4", "a bound"),
    ("negative 4", "4", "another sign in words"),
    ("4 million", "4", "another scale"),
    (r"4\text{ million}", "4", "another scale; math-verify takes it for a unit"),
    ("4 squared", "4", "an operation in words"),
    ("It is 4x", "4", "a formula in a sentence"),
    ("4 apples and 5 pears", "4", "two numbers in a sentence"),
    ("4 apples and 5 pears", "5", "two numbers in a sentence, the last as little as the first"),
    ("40%", "4", "another percentage"),
    ("0.5%", "0.5", "a hundredth of it"),
    ("0.33", "1/3", "two decimals"),
    ("0.0000001", "0.0000002", "twice as much; math-verify rounds both to 0"),
    ("1/0", "4", "no number"),
    ("y=4", "x=4", "another variable"),
    ("x+y=3", "4", "an equation"),
    ("(2,1)", "(1,2)", "another point"),
    ("[1,2]", "[1,2)", "another interval"),
    ("x>3", "x<3", "another inequality"),
    ("1,2", "1.2", "a list, not a decimal comma"),
    ("Paris", "4", "words"),
    ("C", r"\text{B}", "another option"),
    ("", "4", "nothing"),
    (" 4" * 2_000, "4", "too long to be an answer"),
    ("1+" * 1_250 + "1", "1251", "too long to be an expression"),
    (r"\sum_{k=1}^{4} 1", "5", "a sum with another value"),
    (r"2\sqrt{3}", r"\sqrt{13}", "constants that are far apart"),
    ("(0, 1)", "[0, 1)", "another bracket"),
    ("(0, 2)", "(0, 1)", "another end"),
]
UNGRADABLE = [
    ("B", "an option letter"),
    ("x", "could be an option"),
    ("Paris", "a word"),
    ("yes/no", "two words"),
    ("co-op", "a hyphen"),
    ("(B)", "an option in brackets"),
    ("True", "a word"),
    ("The proof is left to the reader", "a sentence"),
    ("", "nothing"),
    (" ", "nothing"),
    ("4 or maybe 5, not sure", "no single answer"),
    (r"\frac{", "no LaTeX"),
]


@pytest.mark.parametrize(("answer", "gold", "reason"), RIGHT)
def test_right(answer, gold, reason):
    assert verify_math(answer, gold) is True, reason


@pytest.mark.parametrize(("answer", "gold", "reason"), WRONG, ids=lambda value: ascii(value[:30]))
def test_wrong(answer, gold, reason):
    assert verify_math(answer, gold) is False, reason


@pytest.mark.parametrize(("gold", "reason"), UNGRADABLE)
def test_gold_that_cannot_be_graded(gold, reason):
    assert verify_math("4", gold) is None, reason
    assert verify_math(gold, gold) is None, "the same text does not make it mathematics"


DRESSES = ["{}", "${}$", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "The answer is {}.", "x = {}", "#### {}", "{:,}"]


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(-2, 2), st.sampled_from(DRESSES), st.sampled_from(DRESSES))
def test_integers_agree_with_math_verify(number, off, dress, gold_dress):
    answer, gold = dress.format(number + off), gold_dress.format(number)
    theirs = verify(parse(gold.replace(",", "")), parse(answer.replace(",", "")))
    assert verify_math(answer, gold) is theirs is (off == 0)


def test_integers_do_not_reach_math_verify(monkeypatch):
    monkeypatch.setattr(math_verifier, "parse", None)
    assert verify_math(r"The answer is $\boxed{1,234}$.", "1234") is True
    assert verify_math("1235", "1234") is False


text = st.text(max_size=40)
SIGNS = [*"4x^{}()$=,!%- []|<&٤²/", "\x00", "\ud800", "\\\\", "\\("]
pieces = st.sampled_from([*SIGNS, "\\frac", "\\sqrt", "\\boxed{", "\\left", "\\text{", "or ", "answer is ", "####"])


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(text, st.lists(pieces, max_size=14).map("".join)), st.sampled_from(["4", "x+1", "(1,2)", "\\text{B}"])
)
def test_any_text_is_right_or_wrong(answer, gold):
    assert verify_math(answer, gold) in (True, False)


@settings(max_examples=100, deadline=None)
@given(st.one_of(text, st.lists(pieces, max_size=10).map("".join)))
def test_any_gold_gives_a_verdict(gold):
    assert verify_math("4", gold) in (True, False, None)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\sqrt{12}", r"2\sqrt{3}+1"),
        (r"\frac{1+\sqrt{5}}{2}", r"\frac{2}{\sqrt{5}-1}"),
        (r"\frac{1+\sqrt{5}}{2}", r"\frac{1-\sqrt{5}}{2}"),
        (r"3+2i", r"3-2i"),
        (r"\frac{\pi}{4}", r"\frac{\pi}{4.0004}"),
        (r"10^{-9}\sqrt{2}", r"10^{-9}\sqrt{3}"),
        (r"[1, 2)", r"[1, \frac{4}{2})"),
        (r"(2, 1)", r"(1, 2)"),
        (r"(-\infty, 1)", r"(-\infty, 1]"),
        (r"\left(0, \infty\right)", r"(0, +\infty)"),
        (r"(-\infty, 1]\cup(2, \infty)", r"(2, \infty) \cup (-\infty, 1]"),
        (r"(-\infty, 1]\cup(2, \infty)", r"(2, \infty) \cup (-\infty, 1)"),
        (r"(0, 1)\cup[1, 2)", r"(0, 2)"),
        (r"(0, 1)\cup(1, 2)", r"(1, 2)\cup(0, 1)"),
        (r"(0, 3)\cup(1, 2)", r"(0, 3)"),
    ],
)
def test_our_short_cuts_say_what_math_verify_says(gold, answer):
    assert verify_math(answer, gold) is verify(parse(f"${gold}$"), parse(f"${answer}$"))


def test_its_own_timeout_ends_python_code_on_the_main_thread():
    """In a process of its own: the alarm would be lost in a callback of the test runner's."""
    product = "(a+k)(b+l)(c+m)(d+n)(e+o)(f+p)(g+q)(h+r)(i+s)(j+t)(u+v)"
    code = f"""
from r1_trl.verifiers import math
math._SECONDS = 1
print(math.verify_math({product!r}, "x+y"))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "False\n", done.stderr


def test_a_gold_that_takes_too_long_cannot_be_graded():
    assert verify_math("4", r"\binom{1000000}{500000}") is None  # though the answer is right or wrong
