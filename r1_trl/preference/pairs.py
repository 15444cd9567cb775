"""From candidate responses and a judge's votes to pairs of a better and a worse one (paper, section 3).

Each pair is judged several times, with the two answers in random order, since judges favour a place; the scores are
averaged, and a pair is kept when they differ by more than a margin. Answers are of comparable length, so that the
reward model does not learn length in place of quality.

Departures from the paper:

1. "Comparable length" is not stated. Here the longer answer has at most `max_length_ratio` times the characters.
2. How many pairs a prompt gives is not stated.
3. What happens to a reply without a verdict is not stated. Here its pair is left out: an average over the rest would
   no longer be over random orders.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1_trl.completion import Messages
from r1_trl.preference.text import scored_text, with_response


class Pair(NamedTuple):
    """Two candidates for the same prompt, not judged yet.

    Args:
        row (`int`): Index of the prompt.
        candidates (`tuple[int, int]`): Indices of the two among the prompt's responses.
        answers (`tuple[str, str]`): What is judged of them.
    """

    row: int
    candidates: tuple[int, int]
    answers: tuple[str, str]


class Vote(NamedTuple):
    """One question to a judge.

    Args:
        pair (`int`): Index of the pair.
        swapped (`bool`): The second candidate stands first, as answer A.
    """

    pair: int
    swapped: bool


def find_pairs(
    row: int,
    prompt: str | Messages,
    responses: Sequence[str | Messages],
    scores: str,
    max_length_ratio: float,
    limit: int,
    seed: int,
    think_opened: bool | None = None,
) -> tuple[int, list[Pair]]:
    """The pairs of one prompt: drawn by chance among those of different answers of comparable length.

    Args:
        row (`int`): Index of the prompt.
        prompt (`str` or messages): The prompt.
        responses (`Sequence` of `str` or of messages): Its candidates.
        scores (`str`): `"answer"` or `"response"`: what is judged.
        max_length_ratio (`float`): Of the longer to the shorter answer, in characters.
        limit (`int`): At most so many pairs.
        seed (`int`): The same seed draws the same pairs.
        think_opened (`bool`, *optional*): Whether the prompt has opened `<think>`.

    Returns:
        `tuple[int, list[Pair]]`: How many different answers there are, and the pairs.

    >>> find_pairs(0, "2 + 2 =", ["4", "<think>5", "3.999999", "4"], "answer", 2.0, 1, seed=0)
    (2, [])
    >>> find_pairs(0, "2 + 2 =", ["4", "<think>5", "5", "4"], "answer", 2.0, 1, seed=0)[1]
    [Pair(row=0, candidates=(0, 2), answers=('4', '5'))]
    """
    answers: dict[str, int] = {}
    for index, response in enumerate(responses):
        text = (scored_text(response, scores, prompt, think_opened) or "").strip()
        if text:
            answers.setdefault(text, index)
    comparable = [
        Pair(row, (answers[first], answers[second]), (first, second))
        for first, second in itertools.combinations(answers, 2)
        if max(len(first), len(second)) <= max_length_ratio * min(len(first), len(second))
    ]
    random.Random(f"pairs {seed} {row}").shuffle(comparable)
    return len(answers), comparable[:limit]


def draw_votes(pairs: Sequence[Pair], num_votes: int, seed: int) -> list[Vote]:
    """The questions to the judge: `num_votes` for each pair side by side, each in an order drawn by chance.

    >>> draw_votes([Pair(0, (0, 1), ("4", "5"))], 2, seed=1)
    [Vote(pair=0, swapped=False), Vote(pair=0, swapped=True)]
    """
    return [
        Vote(index, random.Random(f"order {seed} {pair.row} {pair.candidates} {vote}").random() < 0.5)
        for index, pair in enumerate(pairs)
        for vote in range(num_votes)
    ]


def judged_row(
    pair: Pair,
    scores: Sequence[tuple[float, float]],
    min_margin: float,
    prompt: str | Messages,
    responses: Sequence[str | Messages],
) -> dict[str, Any] | None:
    """The row of a pair, or `None` where the judge does not tell the two apart.

    Args:
        pair ([`Pair`]): What was judged.
        scores (`Sequence[tuple[float, float]]`): Of the first and the second candidate, one a vote.
        min_margin (`float`): The averages must differ by more.
        prompt (`str` or messages): The prompt.
        responses (`Sequence` of `str` or of messages): Its candidates.

    Returns:
        `dict` or `None`: `prompt`, `chosen` and `rejected` (whole responses in the prompt's form), `margin`, `votes`
            (scores of the chosen and the rejected one) and `candidates` (their indices).

    >>> pair = Pair(0, (0, 1), ("4", "5"))
    >>> judged_row(pair, [(9.0, 2.0), (7.0, 6.0)], 1.0, "2 + 2 =", ["4", "5"])["margin"]
    4.0
    >>> judged_row(pair, [(6.0, 5.0)], 1.0, "2 + 2 =", ["4", "5"]) is None
    True
    """
    margin = sum(first - second for first, second in scores) / len(scores)
    if not abs(margin) > min_margin:
        return None
    order = pair.candidates if margin > 0 else pair.candidates[::-1]
    chosen, rejected = (with_response(prompt, scored_text(responses[index], "response") or "") for index in order)
    votes = [list(vote if margin > 0 else vote[::-1]) for vote in scores]
    return {
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "margin": abs(margin),
        "votes": votes,
        "row": pair.row,
        "candidates": list(order),
    }


def format_funnel(funnel: Mapping[str, int]) -> str:
    """How many were left after each step, one a line.

    >>> print(format_funnel({"prompts": 100, "pairs kept": 20}))
      prompts                                 100
      pairs kept                               20
    """
    return "\n".join(f"  {step:<35}{count:>8,}" for step, count in funnel.items())
