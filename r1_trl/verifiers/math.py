r"""The math verifier: is this final answer the same number or expression as the gold?

math-verify does the mathematics. What stands here is around it:

1. *Reading.* One expression is taken out of what a person would write around it (`$4$`, `\boxed{4}`, `#### 4`, "The
   answer is 4.", "x = 4", "4 cm"). An answer that leaves a choice ("4 or 5", two boxes that differ) is wrong.
2. *Numbers.* Integers, decimals, fractions and percentages on both sides, and intervals of them, are compared exactly,
   without math-verify; constants such as `2\sqrt{3}` that are far apart are told apart by their values.
3. *Its time.* What math-verify makes of a hostile text can take for ever. In the worker pool, behind `accuracy_reward`
   and [`~r1_trl.verifiers.grading.Grader`], a deadline ends it. A direct call has math-verify's own timeouts, which
   need SIGALRM: they work on the main thread only, and do not end what C code does.

Departures from the paper:

1. "Matching" is all that it says of how math answers are graded; the rules here are ours.
"""

from __future__ import annotations

import cmath
import logging
import re
import threading
import zlib
from functools import lru_cache
from typing import Any

from latex2sympy2_extended import NormalizationConfig  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse, verify  # type: ignore[import-untyped]
from sympy import Add, Expr, Float, Mul, Pow  # type: ignore[import-untyped]

from r1_trl.verifiers.expression import (
    is_prose,
    plain_text,
    read_expressions,
    read_intervals,
    read_number,
    same_intervals,
    same_number,
    value_of,
)

_SECONDS = 6  # for each of parsing and comparing: more than a worker's deadline, which counts what it ends
_FAR = 1e-3
_GOLD_SECONDS = 2  # less than a worker's deadline: a gold that takes for ever must be None, not a wrong answer
# Not its units: its list holds "ab", "t" and "million", so 2ab and `4\text{ million}` would lose them.
_NORMAL = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True)
_LATEX = (LatexExtractionConfig(normalization_config=_NORMAL),)

# It warns that timeouts are off, and prints every answer that runs into one.
for _part in ("parser", "grader"):
    logging.getLogger(f"math_verify.{_part}").setLevel(logging.ERROR)


def verify_math(answer: str, solution: str, args: dict[str, Any] | None = None) -> bool | None:
    r"""Whether a final answer equals the gold.

    Args:
        answer (`str`):
            The final answer, without tags: an expression, or a sentence with one. A text with `\boxed{}` may be of any
            length; of others, only the last 2,000 characters are read, and only from "answer is" on. An expression of
            more than 2,000 characters is wrong unread (the longest golds of MATH have some 150).
        solution (`str`):
            The gold, read in the same way.
        args (`dict`, *optional*):
            Not used.

    Returns:
        `bool`, or `None` when the gold is no mathematics (words, an option letter).

    Source: paper, section 2 (rule-based accuracy reward).

    >>> verify_math(r"So we get $x = \frac{2}{4}$.", "1/2")
    True
    >>> verify_math("4 or 5", "4"), verify_math("$1,234$", "1234"), verify_math("50%", "0.5")
    (False, True, True)
    >>> verify_math("B", "B") is None
    True
    """
    del args
    gold = _read_gold(solution)
    if gold is None:
        return None
    candidates = read_expressions(answer)
    if candidates and all(_matches(gold, candidate) for candidate in candidates):
        return True
    # `\boxed{1}` and `\boxed{2}` for the gold "1, 2"
    return len(candidates) > 1 and _matches(gold, ", ".join(candidates))


def same_math(answer: str, other: str, args: dict[str, Any] | None = None) -> bool | None:
    r"""Whether two final answers are the same number or expression; a verifier for votes.

    It says what [`verify_math`] says with `other` as the gold, but tells most answers that differ apart by their
    values at one point, which is much faster: a vote compares wrong answers with one another.

    Args:
        answer, other (`str`): Final answers, read as in [`verify_math`].
        args (`dict`, *optional*):
            Not used.

    >>> same_math(r"\boxed{(x+1)^2}", "$x^2 + 2x + 1$"), same_math("x + 1", "x + 2"), same_math("4 cm", "4")
    (True, False, True)
    """
    one, two = _value_somewhere(answer), _value_somewhere(other)
    if one is not None and two is not None and abs(one - two) > _FAR * max(1.0, abs(one), abs(two)):
        return False
    return verify_math(answer, other, args)


verify_math.equality = f"{__name__}.same_math"  # type: ignore[attr-defined]


@lru_cache(maxsize=8192)
def _value_somewhere(text: str) -> complex | None:
    """The value of an expression where each symbol has a value of its own; `None` for all that is more than one."""
    expressions = read_expressions(text)
    expression = expressions[0] if len(expressions) == 1 else ""
    # What is compared as a number, as a text or not at all may look like a product of symbols, such as "4 cm".
    if not expression or "%" in expression or is_prose(expression) or plain_text(expression) is not None:
        return None
    if read_number(value_of(expression)) or read_intervals(expression):
        return None
    parsed = _parsed(expression, _GOLD_SECONDS)
    if not parsed or not isinstance(parsed[0], Expr) or parsed[0].has(Float):
        return None
    point = {symbol: 0.5 + zlib.crc32(symbol.name.encode()) / 2**32 for symbol in parsed[0].free_symbols}
    try:
        value = complex(parsed[0].subs(point).evalf(15))
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        return None  # no number there
    return value if cmath.isfinite(value) else None


@lru_cache(maxsize=4096)
def _read_gold(solution: str) -> str | None:
    """The gold as one expression; all the answers to a question share it."""
    gold = ", ".join(read_expressions(solution))
    if read_number(value_of(gold)) or read_intervals(gold) or plain_text(gold) is not None:
        return gold
    is_mathematics = _has_operator(gold) and not is_prose(gold) and _parsed(gold, _GOLD_SECONDS)
    return gold if is_mathematics else None


def _has_operator(gold: str) -> bool:
    """Whether it is more than a bare word or letter, which is an option or a name, though sympy would read a product
    of symbols. A stroke or a hyphen may also join words, as in "yes/no"."""
    between_letters = re.search(r"[-!|*/]|\w\(", gold) and not re.search(r"[A-Za-z]{2}", gold)
    return bool(re.search(r"[\d\\=+^<>]", gold) or between_letters)


def _matches(gold: str, answer: str) -> bool:
    if "".join(gold.split()) == "".join(answer.split()):
        return True
    text = plain_text(gold)
    if text is not None:
        return text == (plain_text(answer) or answer.strip("() .").casefold())
    # x = 4 is 4, but not y = 4
    bare = (lambda side: side) if value_of(gold) != gold and value_of(answer) != answer else value_of
    number, other = read_number(bare(gold)), read_number(bare(answer))
    if number is not None and other is not None:
        return same_number(number, other)
    intervals, others = read_intervals(gold), read_intervals(answer)
    if intervals is not None and others is not None:
        return same_intervals(intervals, others)
    sides = {side.value for side in map(read_number, re.split(r"=|\\approx", answer)) if side and side.exact}
    # math-verify takes "5 = 4" for a 4
    return len(sides) < 2 and not is_prose(answer) and _same_expression(gold, answer)


@lru_cache(maxsize=8192)
def _same_expression(gold: str, answer: str) -> bool:
    golds, answers = _parsed(gold, _GOLD_SECONDS), _parsed(answer, _SECONDS)
    if not golds or not answers or _far_apart(golds[0], answers[0]):
        return False
    return bool(verify(list(golds), list(answers), timeout_seconds=_on_main_thread(_SECONDS)))


def _far_apart(gold: Any, answer: Any) -> bool:
    """Whether two constants differ so much that no form of them is equal: math-verify would try several first."""
    if not isinstance(gold, Add | Mul | Pow) or not isinstance(answer, Add | Mul | Pow):
        return False  # not where rounding or a percentage may make them equal
    if gold.free_symbols or answer.free_symbols or gold.has(Float) or answer.has(Float):
        return False
    difference = abs((gold - answer).evalf(15))
    return bool(difference.is_Float and difference > _FAR)


@lru_cache(maxsize=4096)
def _parsed(expression: str, seconds: int) -> tuple[Any, ...]:
    """math-verify's reading: one sympy object, or nothing. It catches whatever sympy raises, timeouts included."""
    timeout = _on_main_thread(seconds)
    return tuple(parse(f"${expression}$", _LATEX, fallback_mode="no_fallback", parsing_timeout=timeout))


def _on_main_thread(seconds: int) -> int | None:
    """math-verify's timeouts use SIGALRM, which only the main thread can set."""
    return seconds if threading.current_thread() is threading.main_thread() else None
