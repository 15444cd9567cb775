"""The embedded task: sums of small numbers, asked and worked out in English or Chinese.

It stands where R1's mathematics stands, at the size of a laptop: a question such as `what is 5 + 3 - 7 + 2 + 9 ?` is
hard to answer at once and easy to answer step by step, so reasoning pays, and reasoning can be in either language, so
consistency has to be learned. Every text here is made of whole words, which the miniature's tokenizer knows by heart.

Questions are split by their expression, never by row: a hash decides for good whether `5 + 3 - 7` belongs to training,
validation or test, in both languages and in every set that this module makes.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
Split = Literal["train", "validation", "test"]
Style = Literal["en", "zh", "mixed"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")
WORKED: tuple[Style, ...] = ("en", "zh", "mixed")
MAX_PARTIAL_SUM = 50
SAME_LANGUAGE_SHARE = 0.5  # pre-training answers that follow the question's language; chance decides the others
MAX_GUESS_ERROR = 5  # how far an answer given at once in the cold start is off at most

_QUESTIONS: dict[Language, str] = {"en": "what is {} ?", "zh": "请 计算 {} ？"}
_START: dict[Language, str] = {"en": "start with {} .", "zh": "从 {} 开始 。"}
_STEP: dict[Language, dict[str, str]] = {
    "en": {"+": "add {} gives {} .", "-": "subtract {} gives {} ."},
    "zh": {"+": "加 {} 得 {} 。", "-": "减 {} 得 {} 。"},
}
# Headings of the pre-training documents. They have different lengths, so the base cannot tie its arithmetic to a fixed
# distance between question and solution.
_HEADINGS: dict[Language, tuple[str, ...]] = {"en": ("question :", "exercise"), "zh": ("问题 ：", "练习")}
_LEADS: dict[Language, tuple[str, ...]] = {"en": ("solution :", "answer"), "zh": ("解答 ：", "答案")}


@dataclass(frozen=True)
class Sum:
    """A sum of signed numbers from 1 to 9 whose partial sums stay within 0 and 50.

    Args:
        terms (`tuple[int, ...]`): The signed numbers, the first one positive.

    >>> question = Sum((5, 3, -7))
    >>> question.expression, question.total
    ('5 + 3 - 7', 1)
    """

    terms: tuple[int, ...]

    @property
    def expression(self) -> str:
        first, *rest = self.terms
        return " ".join([str(first), *(f"{'+' if term > 0 else '-'} {abs(term)}" for term in rest)])

    @property
    def total(self) -> int:
        return sum(self.terms)

    @property
    def split(self) -> Split:
        """`"test"` for one expression in ten and `"validation"` for another one, decided by its hash alone."""
        return split_of(self.expression)


def split_of(text: str) -> Split:
    """The split of a text, by its hash alone: one in ten for testing, one in ten for validation.

    >>> split_of("5 + 3 - 7")
    'train'
    """
    remainder = hashlib.sha256(text.encode()).digest()[0] % 10
    held_out: dict[int, Split] = {0: "test", 1: "validation"}
    return held_out.get(remainder, "train")


def question_text(question: Sum, language: Language) -> str:
    """The question in words.

    >>> question_text(Sum((5, 3, -7)), "en")
    'what is 5 + 3 - 7 ?'
    """
    return _QUESTIONS[language].format(question.expression)


def reasoning_text(question: Sum, style: Style, rng: random.Random) -> str:
    """A chain of thought that works the sum out.

    Args:
        question (`Sum`): What is asked.
        style (`str`): `"en"` or `"zh"` is the language; `"mixed"` chooses it anew for each step.
        rng (`random.Random`): Chooses the languages of `"mixed"`.

    >>> reasoning_text(Sum((5, 3, -7)), "en", random.Random(0))
    'start with 5 . add 3 gives 8 . subtract 7 gives 1 .'
    """

    def language() -> Language:
        return rng.choice(LANGUAGES) if style == "mixed" else style

    partial = question.terms[0]
    steps = [_START[language()].format(partial)]
    for term in question.terms[1:]:
        partial += term
        steps.append(_STEP[language()]["+" if term > 0 else "-"].format(abs(term), partial))
    return " ".join(steps)


def draw_sums(split: Split, seed: int, terms: tuple[int, int] = (5, 5)) -> Iterator[Sum]:
    """An endless, reproducible stream of sums of one split, with repeats.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`.
        seed (`int`): The same seed gives the same stream.
        terms (`tuple[int, int]`, *optional*, defaults to `(5, 5)`): Least and greatest count of numbers in a sum.

    >>> next(draw_sums("test", seed=0)).split
    'test'
    """
    rng = random.Random(f"{split}-{seed}")
    while True:
        numbers = [rng.randint(1, 9)]
        for _ in range(rng.randint(*terms) - 1):
            number = rng.randint(1, 9)
            total = sum(numbers)
            signs = [sign for sign in (1, -1) if 0 <= total + sign * number <= MAX_PARTIAL_SUM]
            numbers.append(rng.choice(signs) * number)
        drawn = Sum(tuple(numbers))
        if drawn.split == split:
            yield drawn


def question_rows(split: Split, size: int, seed: int = 0) -> list[dict[str, object]]:
    """Distinct questions with their solutions, half of them English and half Chinese, for GRPO and evaluation.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`.
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): Which questions are drawn.

    Returns:
        `list[dict]`: `size` rows of `prompt` (messages), `solution` and `language`.

    >>> question_rows("test", 1)[0]["prompt"][0]["role"]
    'user'
    """
    rows: dict[str, dict[str, object]] = {}
    for drawn in draw_sums(split, seed):
        if len(rows) == size:
            break
        language = LANGUAGES[len(rows) % 2]
        rows.setdefault(
            drawn.expression,
            {
                "prompt": [{"role": "user", "content": question_text(drawn, language)}],
                "solution": str(drawn.total),
                "language": language,
            },
        )
    return list(rows.values())


def cold_start_rows(size: int, seed: int = 0, direct_share: float = 0.85) -> list[dict[str, object]]:
    """Prompts with completions in R1's format, mostly a guess made at once, otherwise worked out in any language.

    A good habit and a bad one are both in here, and the language of the reasoning is left to chance: what remains to
    be learned is left to GRPO. A guess is off by up to [`MAX_GUESS_ERROR`] and right one time in ten or so.

    Args:
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): Which questions and styles are drawn.
        direct_share (`float`, *optional*, defaults to `0.85`): Share of guesses.

    Returns:
        `list[dict]`: `size` rows of `prompt` and `completion`, both as messages.

    >>> cold_start_rows(1, direct_share=1.0)[0]["completion"][0]["content"]
    '<think> 2 </think> <answer> 2 </answer>'
    """
    rng = random.Random(f"cold-start-{seed}")
    rows: list[dict[str, object]] = []
    for drawn in itertools.islice(draw_sums("train", seed + 1), size):
        asked = rng.choice(LANGUAGES)
        if rng.random() < direct_share:
            answer = max(0, drawn.total + rng.randint(-MAX_GUESS_ERROR, MAX_GUESS_ERROR))
            reasoning = str(answer)
        else:
            answer, reasoning = drawn.total, reasoning_text(drawn, rng.choice(WORKED), rng)
        rows.append(
            {
                "prompt": [{"role": "user", "content": question_text(drawn, asked)}],
                "completion": [{"role": "assistant", "content": tagged(reasoning, answer)}],
            }
        )
    return rows


def pretraining_rows(
    size: int, seed: int = 0, chat_share: float = 0.35, direct_share: float = 0.3
) -> list[dict[str, object]]:
    """Bilingual documents that teach the base its arithmetic: worked exercises, and chats in the tokenizer's markup.

    Args:
        size (`int`): Number of documents.
        seed (`int`, *optional*, defaults to `0`): Which documents are drawn.
        chat_share (`float`, *optional*, defaults to `0.35`): Share of chats, whose answers carry R1's tags.
        direct_share (`float`, *optional*, defaults to `0.3`): Share of the chats' answers that are given at once.

    Returns:
        `list[dict]`: `size` rows of `text`, each a question of three to five numbers with an answer.

    >>> pretraining_rows(1, chat_share=0.0)[0]["text"].split()[0] in ("question", "exercise", "问题", "练习")
    True
    """
    rng = random.Random(f"pretraining-{seed}")
    stream = draw_sums("train", seed + 2, terms=(3, 5))
    rows: list[dict[str, object]] = []
    for drawn in itertools.islice(stream, size):
        asked = rng.choice(LANGUAGES)
        if rng.random() < chat_share:
            direct = rng.random() < direct_share
            reasoning = str(drawn.total) if direct else reasoning_text(drawn, _style(asked, rng), rng)
            chat = f"<|user|> {question_text(drawn, asked)} <|end|> <|assistant|> {tagged(reasoning, drawn.total)}"
            rows.append({"text": chat})
        else:
            style = _style(asked, rng)
            heading, lead = rng.choice(_HEADINGS[asked]), rng.choice(_LEADS[asked if style == "mixed" else style])
            rows.append(
                {"text": f"{heading} {question_text(drawn, asked)} {lead} {reasoning_text(drawn, style, rng)}"}
            )
    return rows


def _style(asked: Language, rng: random.Random) -> Style:
    return asked if rng.random() < SAME_LANGUAGE_SHARE else rng.choice(WORKED)


def tagged(reasoning: str, answer: object) -> str:
    """A completion in R1's format, in the miniature's words.

    >>> tagged("2", 2)
    '<think> 2 </think> <answer> 2 </answer>'
    """
    return f"<think> {reasoning} </think> <answer> {answer} </answer>"


def vocabulary() -> list[str]:
    """Every word that the texts of this module can contain, numbers first.

    >>> vocabulary()[:3], "gives" in vocabulary()
    (['0', '1', '2'], True)
    """
    templates = [*_QUESTIONS.values(), *_START.values(), *(t for steps in _STEP.values() for t in steps.values())]
    templates += [text for texts in (*_HEADINGS.values(), *_LEADS.values()) for text in texts]
    words = [word for template in templates for word in template.split() if word != "{}"]
    return list(dict.fromkeys([*map(str, range(100)), "+", "-", "=", *words]))
