"""Reflection in the reasoning, as R1's authors watched it: words that question a step, and answers that changed.

Source: DeepSeek-R1 arXiv v2, appendix C.2: the counts of ten English words rise over R1-Zero's training. The Chinese
list is ours: the same ten meanings. Counted are the words as they stand there, in any case: "check", not "checking".

Plain functions over the reasoning that `r1_trl.completion` finds. A completion is hostile text: all of it takes time
in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from r1_trl.verifiers.expression import read_number, same_number

ENGLISH = ("wait", "mistake", "however", "but", "retry", "error", "verify", "wrong", "evaluate", "check")
CHINESE = (
    *("等等", "等一下", "再想想", "失误", "弄错", "然而", "不过", "但是", "重新", "重试"),
    *("错误", "验证", "验算", "不对", "错了", "评估", "检查"),
)

_HAN = "\u3400-\u9fff"
_HAN_CHARACTERS = re.compile(f"[{_HAN}]+")
_LETTER = rf"[^\W\d_{_HAN}]"
_WORD = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*")
_ASCII_WORD = re.compile("[A-Za-z]+(?:'[A-Za-z]+)*")  # the same where there is nothing else, and faster
_HAN_PER_WORD = 1.5  # as in r1_trl.language

# Of lower-case text.
_MARKER = re.compile(r"\\boxed|answer|答案")
_STATEMENT = re.compile(
    r"\\boxed\s?\{(?P<box>(?:[^{}]|\{[^{}]*\}){1,200})\}"
    r"|\banswer\s{0,3}(?:is|=|:)\s{0,3}:?\s{0,3}(?=(?P<said>[^\n]{1,100}))"
    r"|答案\s{0,3}(?:应该)?(?:是|为|等于|：|:|=){1,2}\s{0,3}(?=(?P<chinese>[^\n]{1,100}))"
)
_END = re.compile(r"[.!?:](?:\s|$)|,(?!\d)|[，。；;！？]")
_DRESS = re.compile(r"\\boxed|\\[()\[\]]|[$*`{}\s]")
_NO_VALUE = re.compile(r"(?:not|wrong|incorrect|correct|right)\b|[不错对]")
_MOST_WORDS = 3  # of a value without a digit: "the answer is probably a big number" states none


class ReflectionWords:
    """Finds the words that question a step.

    Args:
        more (`Sequence[str]`, *optional*): Words or phrases beside [`ENGLISH`] and [`CHINESE`]. Those with Chinese
            characters are found anywhere, others as whole words.

    >>> len(ReflectionWords(["let me see"]).find("Wait, waiter: let me see. 等等，重新算。"))
    4
    """

    def __init__(self, more: Sequence[str] = ()) -> None:
        known = {word.strip().lower() for word in (*ENGLISH, *CHINESE, *more)} - {""}
        longest_first = sorted(known, key=len, reverse=True)
        anywhere = [re.escape(word) for word in longest_first if _HAN_CHARACTERS.search(word)]
        whole = [re.escape(word) for word in longest_first if not _HAN_CHARACTERS.search(word)]
        # What stands before a word is looked at afterwards: a pattern that starts with its letters is four times as
        # fast.
        self._whole = re.compile(f"(?:{'|'.join(whole)})(?!{_LETTER})")
        self._anywhere = re.compile("|".join(anywhere))

    def find(self, text: str) -> list[int]:
        """Where each of them starts in the text, in lower case; in no order."""
        lower = text.lower()
        found = [start for start in map(re.Match.start, self._whole.finditer(lower)) if _starts_word(lower, start)]
        if not lower.isascii():
            found += map(re.Match.start, self._anywhere.finditer(lower))
        return found


def count_words(reasoning: str) -> int:
    """The number of words: runs of letters, and 1.5 Chinese characters each.

    A simpler rule than that of [`~r1_trl.language.count_words`], which leaves code and formulas out: it runs at each
    step.

    >>> count_words("Wait, 2 + 2 isn't 5. 重新检查")
    5
    """
    if reasoning.isascii():
        return len(_ASCII_WORD.findall(reasoning))
    han = sum(map(len, _HAN_CHARACTERS.findall(reasoning)))
    return len(_WORD.findall(reasoning)) + round(han / _HAN_PER_WORD)


def changed_answer(reasoning: str, answer: str | None, found: Sequence[int]) -> bool:
    r"""Whether the final answer is another one than the reasoning stated before its last reflective word.

    A statement is `\boxed{…}`, "answer is …", "answer: …" or 答案是…; the last one before the last reflective word
    counts. A bare "= 8" is none, since each step of a calculation has one. Two numbers are compared by their value
    (`0.5` and `1/2` are equal), anything else as text, without dollars, braces, spaces and case.

    Args:
        reasoning (`str`): Of one completion.
        answer (`str`, *optional*): Its final answer.
        found (`Sequence[int]`): Where its reflective words start: [`ReflectionWords.find`].

    Returns:
        `bool`: `False` without a reflective word, without a statement before the last one, and without an answer.

    >>> words = ReflectionWords()
    >>> text = "So the answer is 7. Wait, I forgot the 2."
    >>> changed_answer(text, "9", words.find(text)), changed_answer(text, "7", words.find(text))
    (True, False)
    """
    if answer is None or not found:
        return False
    stated = _last_stated(reasoning.lower()[: max(found)])
    if stated is None:
        return False
    final = answer.lower()
    return not _same(stated, _last_stated(final) or final)


def _starts_word(text: str, start: int) -> bool:
    before = text[start - 1 : start]
    return not before.isalpha() or _HAN_CHARACTERS.match(before) is not None


def _last_stated(text: str) -> str | None:
    for marker in reversed(list(_MARKER.finditer(text))):
        statement = _STATEMENT.match(text, marker.start())
        if statement is not None and (value := _read(statement)):
            return value
    return None


def _read(match: re.Match[str]) -> str | None:
    if match["box"] is not None:
        return match["box"]
    said = (match["said"] or match["chinese"]).strip()
    if boxed := _STATEMENT.match(said):
        return boxed["box"]
    said = _END.split(said, maxsplit=1)[0].strip()
    if not said or _NO_VALUE.match(said):
        return None
    has_digit = any(map(str.isdigit, said))
    return said if has_digit or len(said.split()) <= _MOST_WORDS else None


def _same(one: str, other: str) -> bool:
    numbers = [read_number(text.strip().strip("$").rstrip(".").strip()) for text in (one, other)]
    if numbers[0] is not None and numbers[1] is not None:
        return same_number(numbers[0], numbers[1])
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return _DRESS.sub("", text.replace(r"\dfrac", r"\frac")).rstrip(".。")
