"""cons@k: is the answer right that most samples of a question give? Answers are counted by what they say.

Source: DeepSeek-R1 arXiv v2, appendix D.1 (cons@64). The paper does not say when two answers are the same. Here:

1. Identical text is one answer, and text that differs in white space around it.
2. A verifier with an `equality` (see [`~r1_trl.verifiers`]) is asked about others, by the row's `verifier_args`: they
   are the same where either of them is right with the other one as the gold. All answers with full marks are then
   one, since they equal the gold, and answers with different scores never are.
3. Without one, as for programs, answers are the same when their normalised text is.

Verifiers are asked in the worker pool, one pair of each question at a time and all questions together, until no answer
that is left can change the winner's score. Where a right answer has the majority already, or none is right, that is at
once. An answer that no gold can be, or at which the deadline ends a worker, is compared by its text alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from r1_trl.verifiers import get_verifier
from r1_trl.verifiers.exact import normalised_text
from r1_trl.verifiers.grading import Grade, Grader, Row


class Equality(NamedTuple):
    """What a verifier says of two answers."""

    same: bool
    timed_out: bool = False


# Hands out pairs of answers to compare, takes what the verifier says of each, and returns the winner's score.
Vote: TypeAlias = Generator[tuple[str, str], Equality, float]


@dataclass
class _Class:
    """Answers that say the same."""

    text: str  # of the first one
    score: float
    size: int
    first: int  # index of its first sample
    closed: bool = False  # compared by text alone

    @property
    def rank(self) -> tuple[int, int]:
        """Larger classes win, among equals the one seen first."""
        return self.size, -self.first


def majority_scores(questions: Sequence[Sequence[tuple[Row, float]]], grader: Grader) -> list[float]:
    """The score of the answer that most samples give, for each question.

    Args:
        questions (`Sequence`): Q lists of k answers, each with its score against the gold; all rows of a question have
            the same gold, verifier and arguments.
        grader ([`~r1_trl.verifiers.grading.Grader`]): Its worker pool compares answers.

    Returns:
        `list[float]` of length Q: Among equals the answer given first counts; 0.0 where no sample has an answer.

    Raises:
        `RuntimeError`: A verifier fails, which is a bug in it.

    >>> rows = [(Row("1/2", "3"), 0.0), (Row("3", "3"), 1.0), (Row("0.5", "3"), 0.0)]
    >>> majority_scores([rows, rows[:2]], Grader(workers=1))
    [0.0, 0.0]
    """
    rows = [answers[0][0] for answers in questions]
    votes = [
        count_votes([row.answer for row, _ in answers], [score for _, score in answers], _equality(gold) is not None)
        for answers, gold in zip(questions, rows, strict=True)
    ]
    scores = [0.0] * len(votes)
    replies: dict[int, Equality | None] = dict.fromkeys(range(len(votes)))
    while replies:
        pairs: dict[int, tuple[str, str]] = {}
        for index, reply in replies.items():
            try:
                pairs[index] = next(votes[index]) if reply is None else votes[index].send(reply)
            except StopIteration as decided:
                scores[index] = decided.value
        replies = dict(
            zip(pairs, compare([(rows[index], pair) for index, pair in pairs.items()], grader), strict=True)
        )
    return scores


def count_votes(answers: Sequence[str | None], scores: Sequence[float], compares: bool) -> Vote:
    """Counts the votes of one question, as far as its winner is in doubt.

    Args:
        answers (`Sequence[str | None]` of length k): Final answers; `None` or blank where there is none: no vote.
        scores (`Sequence[float]` of length k): Of each, against the gold.
        compares (`bool`): Whether to ask for equality beyond that of text; with itself first, which tells whether an
            answer can be compared.

    Returns:
        [`Vote`]: Its value is the winner's score.
    """
    texts = _by_text(answers, scores, compares)
    full = [found for found in texts if compares and found.score >= 1.0]
    classes = [_joined(full)] if full else []
    waiting = sorted((found for found in texts if found not in full), key=lambda found: found.rank, reverse=True)
    while _in_doubt(classes, waiting):
        found = waiting.pop(0)
        if compares and any(other.score == found.score for other in (*classes, *waiting)):
            found.closed = not (yield found.text, found.text).same
        for other in classes if compares else ():
            if found.closed or other.closed or other.score != found.score:
                continue
            equality = yield other.text, found.text
            found.closed |= equality.timed_out
            other.closed |= equality.timed_out
            if equality.same:
                other.size, other.first = other.size + found.size, min(other.first, found.first)
                break
        else:
            classes.append(found)
    return max(classes or waiting, key=lambda found: found.rank).score if texts else 0.0


def compare(pairs: Sequence[tuple[Row, tuple[str, str]]], grader: Grader) -> list[Equality]:
    """Whether answers are the same, by the equality of a row's verifier.

    Args:
        pairs (`Sequence`): Rows, each with two answers to its question.
        grader ([`~r1_trl.verifiers.grading.Grader`]): Grades each answer with the other one as the gold.

    >>> row = Row("1", "3")
    >>> compare([(row, ("1/2", "0.5")), (row, ("1/2", "2"))], Grader(workers=1))
    [Equality(same=True, timed_out=False), Equality(same=False, timed_out=False)]
    """
    asked = [
        Row(answer, gold, _equality(row), row.args)
        for row, (one, other) in pairs
        for answer, gold in ((one, other), (other, one))
    ]
    grades = grader.grade(asked)
    return [_equality_of(*both) for both in zip(grades[::2], grades[1::2], strict=True)]


def _equality_of(one: Grade, other: Grade) -> Equality:
    return Equality(1.0 in (one.score, other.score), one.timed_out or other.timed_out)


def _equality(row: Row) -> str | None:
    return getattr(get_verifier(row.verifier_name), "equality", None)


def _by_text(answers: Sequence[str | None], scores: Sequence[float], compares: bool) -> list[_Class]:
    texts = [(answer or "").strip() if compares else normalised_text(answer or "") for answer in answers]
    given = [(index, (text, score)) for index, (text, score) in enumerate(zip(texts, scores, strict=True)) if text]
    counts = Counter(key for _, key in given)
    firsts = {key: index for index, key in reversed(given)}
    return [_Class(text, score, counts[text, score], firsts[text, score]) for text, score in counts]


def _joined(classes: Sequence[_Class]) -> _Class:
    sizes, firsts = ([getattr(found, name) for found in classes] for name in ("size", "first"))
    return _Class(classes[0].text, classes[0].score, sum(sizes), min(firsts))


def _in_doubt(classes: Sequence[_Class], waiting: Sequence[_Class]) -> bool:
    """Whether answers that wait to be compared can make one of another score win."""
    if not classes:
        return len({found.score for found in waiting}) > 1
    leader = max(classes, key=lambda found: found.rank)
    for score in {found.score for found in (*classes, *waiting)} - {leader.score}:
        joining = sum(found.size for found in waiting if found.score == score)
        largest = max((found.size for found in classes if found.score == score), default=0)
        if joining and largest + joining >= leader.size:
            return True
    return False
