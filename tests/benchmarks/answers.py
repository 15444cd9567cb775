"""Completions of about 6,500 characters with integer or symbolic answers, half of them right."""

from __future__ import annotations

import random

_STEP = "Let me take the next step and look at what the two sides of it are, before I go on with the rest of it. "
_REASONING = _STEP * (6_400 // len(_STEP))


def completion(answer: str) -> str:
    """A completion of about 6,500 characters that ends in a boxed answer."""
    return f"<think>{_REASONING}</think>The final answer is $\\boxed{{{answer}}}$."


def integer_question(rng: random.Random) -> tuple[str, list[str], list[str]]:
    """The gold, right answers and wrong ones."""
    number = rng.randint(10, 99_999)
    return str(number), [str(number)], [str(number + 1), str(2 * number)]


def symbolic_question(rng: random.Random) -> tuple[str, list[str], list[str]]:
    """The gold, right answers and wrong ones: roots, intervals, matrices, polynomials, as in MATH."""
    a, b, c, d = (rng.randint(2, 400) for _ in range(4))
    root = rng.choice([2, 3, 5, 6, 7, 10, 11, 13])
    return rng.choice(
        [
            (
                rf"\frac{{{a}+{b}\sqrt{{{root}}}}}{{{c}}}",
                [
                    rf"\frac{{{b}\sqrt{{{root}}}+{a}}}{{{c}}}",
                    rf"\frac{{{a}}}{{{c}}}+\frac{{{b}\sqrt{{{root}}}}}{{{c}}}",
                ],
                [rf"\frac{{{a}-{b}\sqrt{{{root}}}}}{{{c}}}", rf"\frac{{{a}+{b}\sqrt{{{root}}}}}{{{c + 1}}}"],
            ),
            (
                rf"[{a},{a + b})",
                [rf"\left[{a},\,{a + b}\right)"],
                [rf"({a},{a + b})", rf"[{a},{a + b + 1})"],
            ),
            (
                rf"(-\infty,{a}]\cup({a + b},\infty)",
                [rf"({a + b},\infty)\cup(-\infty,{a}]"],
                [rf"(-\infty,{a})\cup({a + b},\infty)", rf"[{a},{a + b}]"],
            ),
            (
                rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}",
                [rf"\begin{{bmatrix}}{a}&{b}\\{c}&{d}\end{{bmatrix}}"],
                [rf"\begin{{pmatrix}}{a}&{c}\\{b + 1}&{d}\end{{pmatrix}}"],
            ),
            (
                rf"{a}x^2+{b}x-{c}",
                [rf"-{c}+{b}x+{a}x^2", rf"x({a}x+{b})-{c}"],
                [rf"{a}x^2-{b}x-{c}", rf"{a}x^2+{b}x-{c + 1}"],
            ),
        ]
    )


def batch(make_question, questions: int, answers: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Completions and golds: `questions` × `answers` of them, the answers to one question side by side.

    Every question has a few different answers, so that with many answers some repeat, as in a rollout.
    """
    rng = random.Random(seed)
    completions, golds = [], []
    for _ in range(questions):
        gold, right, wrong = make_question(rng)
        for _ in range(answers):
            completions.append(completion(rng.choice(rng.choice([right, wrong]))))
            golds.append(gold)
    return completions, golds
