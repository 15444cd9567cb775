r"""The math verifier: is this final answer the same number or expression as the gold?

math-verify does the mathematics. What stands here is around it:

1. *Reading.* One expression is taken out of what a person would write around it (`$4$`, `\boxed{4}`, `#### 4`, "The
   answer is 4.", "x = 4", "4 cm"). An answer that leaves a choice ("4 or 5", two boxes that differ) is wrong.
2. *Numbers.* Integers, decimals, fractions and percentages on both sides are compared exactly, without math-verify.
3. *A guard.* math-verify's timeouts need SIGALRM, so they hold on the main thread only, and not even there while C
   code computes a huge power. `_too_heavy` refuses what is known to blow up before it is parsed. It is a guard, not a
   proof: an expression that passes can still keep sympy busy for seconds.

Departures from the paper:

1. "Matching" is all that it says of how math answers are graded; the rules here are ours.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from functools import lru_cache
from typing import Any

from latex2sympy2_extended import NormalizationConfig  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse, verify  # type: ignore[import-untyped]

from r1_trl.verifiers.expression import is_prose, plain_text, read_expressions, read_number, same_number, value_of

_SECONDS = 2  # for each of parsing and comparing, on the main thread; warm, both take milliseconds
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
            more than 400 characters is wrong unread (the longest golds of MATH have some 150).
        solution (`str`):
            The gold, read in the same way.
        args (`dict`, *optional*):
            Not used.

    Returns:
        `bool`, or `None` when the gold is no mathematics (words, an option letter) or more than the guard lets pass.

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


@lru_cache(maxsize=4096)
def _read_gold(solution: str) -> str | None:
    """The gold as one expression; all the answers to a question share it."""
    gold = ", ".join(read_expressions(solution))
    if read_number(value_of(gold)) is not None or plain_text(gold) is not None:
        return gold
    # A bare word or letter is an option or a name, though sympy would read it as a product of symbols.
    return gold if re.search(r"[\d\\=+^<>]", gold) and not is_prose(gold) and _parsed(gold) else None


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
    sides = {side.value for side in map(read_number, re.split(r"=|\\approx", answer)) if side and side.exact}
    # math-verify takes "5 = 4" for a 4
    return len(sides) < 2 and not is_prose(answer) and _same_expression(gold, answer)


@lru_cache(maxsize=8192)
def _same_expression(gold: str, answer: str) -> bool:
    golds, answers = _parsed(gold), _parsed(answer)
    return bool(golds and answers and verify(list(golds), list(answers), timeout_seconds=_seconds()))


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> tuple[Any, ...]:
    """math-verify's reading: one sympy object, or nothing. It catches whatever sympy raises, timeouts included."""
    if _too_heavy(expression):
        return ()
    return tuple(parse(f"${expression}$", _LATEX, fallback_mode="no_fallback", parsing_timeout=_seconds()))


def _seconds() -> int | None:
    """math-verify's timeouts use SIGALRM, which only the main thread can set."""
    return _SECONDS if threading.current_thread() is threading.main_thread() else None


# An answer is a value; these ask sympy to compute one, for as long as it takes.
_COMPUTES = re.compile(r"\\(?:sum|prod|i*int|oint|lim|limsup|liminf|det|max|min|sup|inf|partial|Gamma)(?![a-z])")
_FUNCTION = re.compile(r"\\(?:arc|a)?(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt)h?(?![a-z])")
_NAME = re.compile(r"\\(?:begin|end|text\w*|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")


def _too_heavy(expression: str) -> bool:
    r"""Whether to refuse an expression unparsed: sympy, or the LaTeX parser, might take minutes or all memory.

    Every bound was found by running hostile expressions against math-verify 0.9 without its timeouts. Refused are:

    - what `_COMPUTES` names, and derivatives;
    - brackets deeper than 8, more than 8 `/` or `|`, more than 6 functions or `\cup`, numerals of over 100 digits;
    - factorials and binomials with numerals of over 3 digits, or of a bracket or of each other without variables;
    - exponents that hold a power (other than one such as `x^2`), a factorial or numerals with a product over 10,000;
    - more than one exponential, or one with a power inside;
    - powers and products of sums that expand to more than 2,000 terms, quotients with powers over 500, and powers of
      matrices.
    """
    numerals = [len(numeral) for numeral in re.findall(r"\d+", expression)]
    names = _NAME.sub(" ", expression)
    letters = set(re.findall(r"[A-Za-z]", names))
    exponentials = len(re.findall(r"\\(?:exp|sinh|cosh|tanh)(?![a-z])", expression))
    return (
        _COMPUTES.search(expression) is not None
        or re.search(r"\{\s*d\s*[a-z]|\\end\s*\{\w*matrix\}\s*\^\s*\{?\s*-?\d", expression) is not None
        or _depth(expression) > 8
        or max(expression.count("/"), expression.count("|")) > 8
        or max(len(_FUNCTION.findall(expression)), expression.count(r"\cup")) > 6
        or max(numerals, default=0) > 100
        or exponentials > 1
        or (exponentials == 1 and "^" in expression)
        or (
            ("!" in expression or "binom" in expression)
            and _heavy_factorial(expression, max(numerals, default=0), letters)
        )
        or _heavy_powers(expression, names, letters)
    )


def _depth(expression: str) -> int:
    depth = deepest = 0
    for sign in expression:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _heavy_factorial(expression: str, digits: int, letters: set[str]) -> bool:
    if "!" not in expression and "binom" not in expression:
        return False
    return digits > 3 or "!!" in expression or (not letters and re.search(r"[)\]}]\s*!", expression) is not None)


def _heavy_powers(expression: str, names: str, letters: set[str]) -> bool:
    plain, of_brackets = 1, 1
    flat = re.sub(r"[A-Za-z]\s*\^\s*(?:\{\s*\d\s*\}|\d(?!\d))", "x", expression)
    for match in re.finditer(r"(.?)\s*\^\s*", flat):
        exponent, after = _exponent(flat, match.end())
        weight = math.prod(max(1, int(numeral)) for numeral in re.findall(r"\d+", exponent))
        if weight > 10_000 or "^" in exponent or "!" in exponent or after in ("^", "!"):
            return True
        if match.group(1) in (")", "}", "]"):
            of_brackets *= weight
        else:
            plain = max(plain, weight)
    if not letters and "sqrt" not in expression:
        return plain * of_brackets > 10_000
    if plain > 500 and re.search(r"frac|/", expression):
        return True
    # A sum of n variables to the power w has this many terms.
    sums = of_brackets + names.count("(")
    return math.comb(sums + max(1, len(letters)), sums) > 2_000 if sums < 1_000 else True


def _exponent(expression: str, start: int) -> tuple[str, str]:
    """What stands in the exponent that begins here, and the sign after it."""
    end, depth = start, 0
    while end < len(expression) and (depth or end == start):
        depth += (expression[end] in "({") - (expression[end] in ")}")
        end += 1
    if expression[start:end].isdigit() or expression[start:end] in ("-", "+"):
        end += len(expression[end:]) - len(expression[end:].lstrip("0123456789"))
    return expression[start:end], expression[end:].lstrip(" })")[:1]
