"""One expression out of what a person writes around it, and the value of a plain number.

The math verifier's reading: between the final answer that the parser finds and math-verify, which wants LaTeX. An
answer that leaves a choice has no reading, since no verifier may pick the right candidate out of several.
"""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from typing import NamedTuple

# A text without a box is read whole only up to here: a final answer with a sentence around it is far shorter.
MAX_TEXT = 2_000
MAX_BOXES = 8

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = str.maketrans(
    {"−": "-", "﹣": "-", "×": r"\times ", "÷": "/", "·": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le "}
    | {"≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ", "²": "^{2}", "³": "^{3}", "°": r"^\circ "}
    | {
        "½": r"\frac{1}{2}",
        "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}",
        "∪": r"\cup ",
        "。": ".",
        "、": ",",
        "\u00a0": " ",
    }
)
_PLAIN_NAMES = re.compile(r"(?<![\\A-Za-z])(sqrt|sin|cos|tan|log|ln|exp|pi|theta|infty)(?![A-Za-z])")
_BOLD = re.compile(r"(?<![\w)}])\*\*|\*\*(?![\w({])|`")  # not the power in 2**3
_JUNCTION = re.compile(r"\\(?:text|mathrm)\{\s*(?:or|and)\s*\}|(?<=[\s$])(?:or|and)(?=[\s$])|或者?|和")
_CUE = re.compile(r"answer\b\W{0,4}(?:is|are|equals|[:=])\W{0,3}?(?=[\s\w$\\(\[{.+-])|答案\s*(?:应?[是为:=])+", re.I)
_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{")
_SPAN = re.compile(r"\$\$([^$]+)\$\$|\$([^$]+)\$|\\\(((?:[^\\]|\\[^)])+)\\\)|\\\[((?:[^\\]|\\[^\]])+)\\\]")
_COMMAND = re.compile(r"\\(?:text\w*|mathrm|mbox|operatorname|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+")
# A word of a sentence; `2ab` and `ab + bc` are products.
_WORD = re.compile(
    r"[A-Za-z]{4,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[A-Za-z]'[a-z]|"
    r"(?<![A-Za-z\d^_+*/=(){}<>|-])(?<![-+*/=<>^] )[A-Za-z]{2,3}(?![A-Za-z\d]|\s*[-+*/=^_({)}])"
)
_DIFFERENTIAL = re.compile(r"d[a-z](?![A-Za-z])")
_TEXT = re.compile(r"\\(?:text\w*|mathrm|mbox)\s*\{([^{}]*)\}")
_UNIT = re.compile(
    r"(?<=[\d)}])\s*(?:\\(?:text\w*|mathrm|mbox)\s*\{(?!\s*[ei]\s*\})([^{}]*)\}|\^\s*\{?\\circ\s*\}?|"
    r"(?:[mcdk]m|[mk]g|m?l|ft)(?:\s*\^\s*\{?[23]\}?)?)$"
)
_ASSIGNMENT = re.compile(r"[A-Za-z](?:_\{?\w{1,9}\}?)?(?:\([A-Za-z]\))?\s*=\s*([^=]+)")
_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)\s*(?:(?P<whole>\d*)\s*\\frac\s*\{{\s*(?P<top>-?\d+)\s*\}}\s*\{{\s*(?P<bottom>\d+)\s*\}}|"
    rf"(?:(?P<whole2>\d+)\s+)?(?P<top2>{_INTEGER})\s*/\s*(?P<bottom2>{_INTEGER})|"
    rf"(?P<decimal>{_INTEGER}(?:\.\d*)?|\.\d+)"
    r"(?:(?:[eE]|\s*\\(?:times|cdot)\s*10\s*\^)\s*\{?(?P<power>[+-]?\d{1,3})\}?)?)\s*(?P<percent>%?)"
)
_WORDS = re.compile(r"[A-Za-z]{2,}(?:\s+[A-Za-z]+)*")
_FACTORIAL = re.compile(r"(?:\d|\)|(?<![A-Za-z])[A-Za-z])!$")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\s?\{(\d+)\}")
_PAIR = re.compile(r"([\[(])([^,()\[\]]+),([^,()\[\]]+)([\])])")
_INFINITY = re.compile(r"\s*([+-]?)\s*\\infty\s*")
# A number in a sentence that is not part of a formula, a name or an exponent.
_IN_PROSE = re.compile(
    rf"(?<![\w.,^\\/*<>+-])(?<![-^*/+<>] )[$€£¥]?-?(?:{_INTEGER}(?:\.\d+)?|\.\d+)(?:/\d+)?(?:\s?%)?"
    r"(?!\w|\s*[-+*/^=<>])"
)
# What turns the number beside it into another one, or into none.
_TURNS = re.compile(
    r"\b(?:not|no|never|either|neither|nor|than|least|most|except|between|minus|negative|plus|times|over|divided|half"
    r"|thirds?|quarters?|double|twice|root|squared|cubed|factorial|dozens?|hundreds?|thousands?|[mbtr]+illions?)\b"
    r"|n't\b|,\s*(?:more|less|fewer)\b|[不非负負百千万亿]|[<>]|\\(?:ne|le|ge|neq|leq|geq|approx|pm|infty)\b",
    re.I,
)


class Number(NamedTuple):
    """A plain number, and how it is written.

    Args:
        value (`Fraction`): Its value; for a percentage, the number before the sign.
        percent (`bool`): Whether a percent sign follows.
        exact (`bool`): Whether it is written without a decimal point.
    """

    value: Fraction
    percent: bool
    exact: bool


class Interval(NamedTuple):
    """An interval of plain numbers, or a point with two of them in rising order; both read alike.

    Args:
        brackets (`str`): The two brackets, such as `"[)"`.
        start, end ([`Number`] or `None`): `None` for -∞ and ∞.
    """

    brackets: str
    start: Number | None
    end: Number | None


def read_expressions(text: str) -> list[str]:
    r"""The expressions that a text offers as its answer, without dress; none where one of them leaves a choice.

    Read are, in this order: all `\boxed{}`, what follows `####`, what follows each "answer is", the whole text.
    Several boxes or "answer is" may bring several expressions: the caller must not pick one.

    Args:
        text (`str`): Of any length; of a text without boxes and `####`, the last 2,000 characters count.

    >>> read_expressions(r"The sum is \boxed{1{,}234}.")
    ['1,234']
    >>> read_expressions("It is 4, or maybe 5.")
    []
    """
    if "\\boxed" in text or "\\fbox" in text:
        found = boxed_contents(text)
    elif "####" in text:
        found = [text.rpartition("####")[2]] if text.count("####") == 1 else []
    else:
        cued = _CUE.split(text[-MAX_TEXT:].translate(_FULL_WIDTH))[1:]
        # "Final answer: The answer is 4": the first cue has no answer of its own.
        found = [part for i, part in enumerate(cued) if i == len(cued) - 1 or re.search(r"[\d\\]", part)]
        if not cued and len(text) <= MAX_TEXT:
            found = [text]
    expressions = [_expression(part) for part in found]
    return [] if "" in expressions else list(dict.fromkeys(expressions))


def boxed_contents(text: str) -> list[str]:
    r"""The contents of all `\boxed{}` and `\fbox{}`; none where there are more than a person would draw.

    Args:
        text (`str`): Of any length.

    Returns:
        `list[str]`: In their order, as they stand; `""` for a box that does not close.

    >>> boxed_contents(r"So \boxed{\frac{1}{2}} and \boxed{3")
    ['\\frac{1}{2}', '']
    """
    starts = [match.end() for match, _ in zip(_BOX.finditer(text), range(MAX_BOXES + 1), strict=False)]
    contents = []
    for start in starts if len(starts) <= MAX_BOXES else []:
        depth, end = 1, start
        while depth and end < min(len(text), start + MAX_TEXT):
            if text[end] in "{}" and text[end - 1] != "\\":
                depth += 1 if text[end] == "{" else -1
            end += 1
        contents.append("" if depth else text[start : end - 1])
    return contents


def _expression(text: str) -> str:
    """The one expression in a piece of an answer; "" where there is none, or no telling which."""
    text = _undress(text)
    if is_prose(text) and len(text) <= MAX_TEXT:
        text = _out_of_prose(text)
    return text if len(text) <= MAX_TEXT else ""


def is_prose(text: str) -> bool:
    """Whether words stand in it: not names of functions or LaTeX commands, nor products such as `2ab`.

    >>> is_prose("4 apples"), is_prose("2ab + 1")
    (True, False)
    """
    if "\\int" in text:
        text = _DIFFERENTIAL.sub(" ", text)
    return _WORD.search(_COMMAND.sub(" ", text)) is not None


def _out_of_prose(text: str) -> str:
    """The one formula or number in a sentence; the sentence itself where there is none; "" where there are several."""
    spans = {_undress(next(filter(None, groups))) for groups in _SPAN.findall(text)}
    if spans:
        outside, span = _SPAN.sub(" ", text), spans.pop()
        return "" if spans or re.search(r"\d", outside) or _TURNS.search(outside) or is_prose(span) else span
    text = re.sub(r"\s?(?:percent|per cent|pct)\b", "%", text)
    number = _NUMBER.match(text)  # with nothing but words behind it, such as the name of a unit
    if number and _WORDS.fullmatch(text, number.end()) and not _TURNS.search(text):
        return number.group()
    numbers = {match.group().lstrip("$€£¥") for match in _IN_PROSE.finditer(text)}
    # Every digit has to belong to that one number, or to a unit such as m^2.
    rest = re.sub(r"(?<=[A-Za-z])\^?\{?[23]\}?", " ", _IN_PROSE.sub(" ", text))
    if _TURNS.search(text) or re.search(r"\d", rest) or len(numbers) > 1:
        return ""
    return numbers.pop() if numbers else text


def _undress(text: str) -> str:
    """Takes off what does not belong to the expression, and writes the rest as LaTeX."""
    text = text.strip()[: MAX_TEXT + 1].translate(_FULL_WIDTH).translate(_SIGNS)
    text = re.sub(r"\.?\s*I hope\b.*", "", text, flags=re.S)
    text = re.sub(r",\s*\\!\s*(?=\d{3})", ",", text)  # 11,\! 111
    text = _REPEATING.sub(_as_fraction, text).replace(r"\langle", "(").replace(r"\rangle", ")")
    text = re.sub(r"\\(?:left|right|displaystyle)(?![A-Za-z])|(?<!\\)\\[!,]", "", _BOLD.sub("", text)).replace(
        "{,}", ","
    )
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace(r"\%", "%").replace(r"\$", "")
    text = re.sub(r"(?<!\\)\\(?:[; ]|q?quad(?![A-Za-z]))|~", " ", text).replace("**", "^")
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\?(?<![A-Za-z])sqrt\s?\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"√\s*(?:\(([^()]*)\)|(\d+|[A-Za-z]))", r"\\sqrt{\1\2}", text)
    text = _PLAIN_NAMES.sub(r"\\\1 ", _JUNCTION.sub(",", text)).strip()
    while True:
        bare = text.rstrip(".;,:?" if _FACTORIAL.search(text) else ".;,:?!").strip()
        span = _SPAN.fullmatch(bare)
        bare = next(filter(None, span.groups())) if span else bare
        if bare.count("$") <= 1:
            bare = re.sub(r"^([+-]?)\s*[$€£¥]\s*(?=[\d.])|\$$", r"\1", bare)
        bare = _UNIT.sub(lambda unit: unit.group() if _TURNS.search(unit.group(1) or "") else "", bare).strip()
        if bare == text:
            return text
        text = bare


def _as_fraction(repeating: re.Match[str]) -> str:
    r"""0.1\overline{6} is (16 - 1) / 90."""
    whole, once, again = repeating.groups()
    top = int(whole + once + again) - int(whole + once or "0")
    return rf"\frac{{{top}}}{{{(10 ** len(again) - 1) * 10 ** len(once)}}}"


def plain_text(expression: str) -> str | None:
    r"""The words, in lower case, of an expression that is nothing but `\text{…}`; `None` for any other.

    >>> plain_text(r"\text{(B)}")
    'b'
    """
    match = _TEXT.fullmatch(expression)
    return match.group(1).strip("() .").casefold() if match else None


def value_of(expression: str) -> str:
    """The right side of an assignment; anything else as it is.

    >>> value_of("x = 4"), value_of("x + y = 4")
    ('4', 'x + y = 4')
    """
    match = _ASSIGNMENT.fullmatch(expression)
    return match.group(1).strip() if match else expression


def read_number(text: str) -> Number | None:
    """Reads an integer, decimal, fraction, mixed number or percentage; `None` for anything else.

    >>> read_number("-1,234.50")
    Number(value=Fraction(-2469, 2), percent=False, exact=False)
    >>> read_number("12/8%")
    Number(value=Fraction(3, 2), percent=True, exact=True)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > MAX_TEXT:
        return None
    part = {name: (found or "").replace(",", "") for name, found in match.groupdict().items()}
    top, bottom = int(part["top"] or part["top2"] or "0"), int(part["bottom"] or part["bottom2"] or "1")
    if bottom == 0:
        return None
    value = Fraction(part["decimal"].rstrip(".") or part["whole"] or part["whole2"] or "0")
    value = value * Fraction(10) ** int(part["power"] or "0") + Fraction(top, bottom)
    return Number(-value if part["sign"] == "-" else value, bool(part["percent"]), "." not in part["decimal"])


def same_number(gold: Number, answer: Number) -> bool:
    """Whether a person would call two numbers the same.

    >>> same_number(Number(Fraction(1, 2), False, True), Number(Fraction(50), True, True))
    True
    """
    if gold.percent != answer.percent:
        plain, share = (answer, gold) if gold.percent else (gold, answer)
        # 50% is 0.5, and it is 50 where the question asks for a percentage; but 0.5% is not 0.5.
        return plain.value * 100 == share.value or (plain.value == share.value and abs(plain.value) >= 1)
    if gold.exact and answer.exact:
        return gold.value == answer.value
    # math-verify's six decimals; but 0.0000001 is not 0.0000002.
    return abs(gold.value - answer.value) <= min(Fraction(1, 2_000_000), abs(gold.value) / 100_000)


def read_intervals(text: str) -> list[Interval] | None:
    r"""Reads rising plain numbers in brackets, `-\infty` and `\infty` included, or a union of such intervals.

    Returns:
        `list[Interval]` or `None`: In rising order; `None` for anything else, also where intervals of a union touch.

    >>> read_intervals(r"(-\infty, 1/2]")
    [Interval(brackets='(]', start=None, end=Number(value=Fraction(1, 2), percent=False, exact=True))]
    >>> read_intervals("(2, 1)") is None, len(read_intervals(r"[3, 4) \cup (1, 2)"))
    (True, 2)
    """
    intervals = [interval for part in text.split(r"\cup") if (interval := _read_interval(part)) is not None]
    if len(intervals) != text.count(r"\cup") + 1:
        return None
    intervals.sort(key=lambda interval: -math.inf if interval.start is None else interval.start.value)
    for before, after in itertools.pairwise(intervals):
        if before.end is None or after.start is None or before.end.value >= after.start.value:
            return None
    return intervals


def _read_interval(text: str) -> Interval | None:
    match = _PAIR.fullmatch(text.strip())
    if match is None:
        return None
    left, low, high, right = match.groups()
    below, above = _INFINITY.fullmatch(low), _INFINITY.fullmatch(high)
    start, end = read_number(low), read_number(high)
    if (start is None and (below is None or below[1] != "-")) or (end is None and (above is None or above[1] == "-")):
        return None
    if start and end and (start.value >= end.value or start.percent or end.percent):
        return None
    return Interval(left + right, start, end)


def same_intervals(gold: list[Interval], answer: list[Interval]) -> bool:
    r"""Whether two unions of intervals are one.

    >>> same_intervals(read_intervals("[1, 2)"), read_intervals("[1.0, 4/2)"))
    True
    """
    return len(gold) == len(answer) and all(map(_same_interval, gold, answer))


def _same_interval(gold: Interval, answer: Interval) -> bool:
    pairs = ((gold.start, answer.start), (gold.end, answer.end))
    return gold.brackets == answer.brackets and all(
        (one is other) if one is None or other is None else same_number(one, other) for one, other in pairs
    )
