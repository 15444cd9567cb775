"""Which rows share text with an evaluation set: a common 10-gram, as in the paper [v2 D.1].

Words. Letters and digits are words, case does not count, everything else separates; a character of a script without
spaces (Chinese, Japanese, Thai, ...) is a word of its own. `1,234.5` is one word.

What matches. A 10-gram of any text of a row (question, solution, completion, messages but system ones) that also
stands in the question or a reference solution (`solution`, `completion`, what the assistant says in `messages`) of an
evaluation row. An evaluation question of fewer than 10 words matches a text that is equal to it, apart from case and
white space; signs count then, so `5+3` is `5 + 3` and not `5 - 3`. A reference solution of fewer than 10 words matches
nothing: "42" is no evidence.

Paraphrases and translations survive, as in the paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import regex  # type: ignore[import-untyped]

from r1_trl.tasks.questions import asked, message_text, normalise, question_of

NGRAM_SIZE = 10
# Scripts that write no spaces between words.
_NO_SPACES = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
_WORD = regex.compile(rf"\d++(?:[.,]\d++)*+|[{_NO_SPACES}]|[[\p{{L}}\p{{M}}_]--[{_NO_SPACES}]]++", regex.V1)
_WORD_OR_SIGN = regex.compile(rf"{_WORD.pattern}|\S", regex.V1)
_TEXTS = ("solution", "completion", "chosen", "rejected", "messages", "text")


class Source(NamedTuple):
    """Where a text of an evaluation set stands."""

    evaluation_set: str
    row: int
    column: str


class Match(NamedTuple):
    """What a row shares with an evaluation set.

    Args:
        source ([`Source`]): The evaluation row.
        column (`str`): Of the row that was looked at.
        kind (`str`): `"ngram"`, or `"question"` for a short question that is equal.
        text (`str`): The common words.
    """

    source: Source
    column: str
    kind: str
    text: str


def words(text: str) -> list[str]:
    """The words of a text, as this module counts them.

    >>> words("What is 1,234.5 + x_2?"), words("请计算 5 + 3")
    (['what', 'is', '1,234.5', 'x_', '2'], ['请', '计', '算', '5', '3'])
    """
    found: list[str] = _WORD.findall(normalise(text))
    return found


def question_key(text: str) -> str:
    """What equal short questions have in common: their words and signs, however they are spaced.

    >>> question_key("What is 2+2?") == question_key("what is 2 + 2 ?"), question_key("2 + 2") == question_key("2 - 2")
    (True, False)
    """
    return " ".join(_WORD_OR_SIGN.findall(normalise(text)))


def ngrams(text: str, size: int) -> Iterator[str]:
    """Every run of `size` words; none in a text with fewer.

    >>> list(ngrams("To be, or not to be", 5))
    ['to be or not to', 'be or not to be']
    """
    found = words(text)
    for start in range(len(found) - size + 1):
        yield " ".join(found[start : start + size])


def texts_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts of a row that a model may learn from, with their columns. A system prompt, which many share, is none.

    >>> list(texts_of({"prompt": [{"role": "system", "content": "Think."}, {"role": "user", "content": "1 + 1?"}]}))
    [('prompt', '1 + 1?')]
    """
    for column in ("prompt", "question"):
        if row.get(column):
            yield column, asked(row[column])
    for column in _TEXTS:
        value = row.get(column)
        if isinstance(value, str):
            yield column, value
        elif isinstance(value, list):
            yield from ((column, message_text(m["content"])) for m in value if m["role"] != "system")


def references_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The reference solutions of an evaluation row, with their columns.

    >>> messages = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    >>> list(references_of({"messages": messages}))
    [('messages', '2')]
    """
    for column in ("solution", "completion", "messages"):
        value = row.get(column)
        if isinstance(value, str):
            yield column, value
        elif isinstance(value, list):
            yield from ((column, message_text(m["content"])) for m in value if m["role"] == "assistant")


@dataclass
class EvaluationIndex:
    """The n-grams of evaluation sets. Memory grows with these sets alone.

    Args:
        ngram_size (`int`, *optional*, defaults to `10`): Words of an n-gram.
        max_ngram_rows (`int`, *optional*): N-grams in more evaluation rows match nothing.

    >>> index = EvaluationIndex()
    >>> index.add("exam", [{"prompt": "How many legs do seven cats and three birds have in all?", "solution": "34"}])
    1
    >>> index.match({"prompt": "Quiz: how many legs do seven cats and three birds have?"}).text
    'how many legs do seven cats and three birds have'
    >>> index.match({"prompt": "How many legs has a cat?"}) is None
    True
    """

    ngram_size: int = NGRAM_SIZE
    max_ngram_rows: int | None = None
    short_questions: dict[str, Source] = field(default_factory=dict)
    ngrams: dict[str, Source] = field(default_factory=dict)  # the first row with each
    rows_with: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Takes in one evaluation set.

        Args:
            name (`str`): Of the set.
            rows (`Iterable[Mapping]`): With a question, as [`question_of`] finds it, and reference solutions, as
                [`references_of`] does.

        Returns:
            `int`: How many rows it has.
        """
        count = 0
        for index, row in enumerate(rows):
            question, count = question_of(row), index + 1
            found: dict[str, Source] = {}
            for column, text in (("question", question), *references_of(row)):
                for ngram in ngrams(text, self.ngram_size):
                    found.setdefault(ngram, Source(name, index, column))
            for ngram, source in found.items():
                self.ngrams.setdefault(ngram, source)
            self.rows_with.update(found.keys())
            if question.strip() and len(words(question)) < self.ngram_size:
                self.short_questions.setdefault(question_key(question), Source(name, index, "question"))
        return count

    def match(self, row: Mapping[str, Any]) -> Match | None:
        """The first match of a row, or `None`."""
        for column, text in texts_of(row):
            key = question_key(text)
            if key in self.short_questions:
                return Match(self.short_questions[key], column, "question", normalise(text))
            for ngram in ngrams(text, self.ngram_size):
                if ngram in self.ngrams and not self._is_common(ngram):
                    return Match(self.ngrams[ngram], column, "ngram", ngram)
        return None

    def _is_common(self, ngram: str) -> bool:
        return self.max_ngram_rows is not None and self.rows_with[ngram] > self.max_ngram_rows
