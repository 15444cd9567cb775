"""The gold out of a reference solution."""

import pytest

from r1_trl.tasks.solutions import extract_solution

CASES = [
    ("48/2 = <<48/2=24>>24 clips\n#### 24", "gsm8k", "24", "the format of GSM8K"),
    ("#### 1,450,000", "gsm8k", "1450000", "thousands"),
    ("#### 5\nno, #### 6 ", "gsm8k", "6", "the last one counts"),
    ("so it is 24", "gsm8k", None, "no marker"),
    ("it is ####", "gsm8k", None, "nothing after it"),
    (r"first \boxed{1}, then \boxed{\frac{1}{2}}.", "boxed", r"\frac{1}{2}", "the last box, with braces inside"),
    (r"\fbox{7}", "boxed", "7", "another box"),
    ("so it is 24", "boxed", None, "no box"),
    (r"\boxed{1", "boxed", None, "a box that is not closed"),
    (r"\boxed{}", "boxed", None, "an empty box"),
    (" 24 ", "as_is", " 24 ", "as it is"),
    (24, "number", "24", "a whole number"),
    (0.5, "number", "0.5", "a decimal"),
    (None, "number", None, "missing"),
    (None, "gsm8k", None, "missing"),
]


@pytest.mark.parametrize(
    ("solution", "solution_format", "gold"),
    [pytest.param(*case[:3], id=f"{case[1]}: {case[3]}") for case in CASES],
)
def test_gold(solution, solution_format, gold):
    assert extract_solution(solution, solution_format) == gold
