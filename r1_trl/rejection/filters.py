"""What an answer falls by: one small function for each filter, which says whether the answer passes.

Departures from the paper: it drops "chaotic" reasoning with mixed languages, long paragraphs and code blocks, and
states no threshold; here they are settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from r1_trl.rejection.candidates import Candidate
from r1_trl.rejection.config import RejectionSamplingConfig
from r1_trl.rewards import LanguageConsistencyReward

Filter: TypeAlias = Callable[[Candidate], bool]

_BLANK_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_FENCE = re.compile(r"^[^\S\n]*(?:```|~~~)", re.MULTILINE)


def answer_filters(config: RejectionSamplingConfig) -> dict[str, Filter]:
    """The filters that look at one answer, in their order.

    Args:
        config ([`RejectionSamplingConfig`]): Their thresholds.

    Returns:
        `dict[str, Callable]`: Name -> whether a candidate passes.

    >>> list(answer_filters(RejectionSamplingConfig()))
    ['truncated', 'malformed', 'wrong', 'unverified', 'mixed_language', 'long_paragraph', 'code_block']
    """
    language = LanguageConsistencyReward(config.languages)
    longest = config.max_paragraph_characters
    return {
        "truncated": lambda answer: not answer.sample.truncated,
        "malformed": lambda answer: answer.parsed.well_formed,
        "wrong": lambda answer: answer.verdict in (None, 1.0),
        "unverified": lambda answer: answer.verdict is not None or config.keep_unverified,
        "mixed_language": lambda answer: one_language(answer, language, config.min_language_consistency),
        "long_paragraph": lambda answer: longest is None or longest_paragraph(reasoning(answer)) <= longest,
        "code_block": lambda answer: config.allow_code_blocks or not has_code_block(reasoning(answer)),
    }


def reasoning(answer: Candidate) -> str:
    """The text that the last three filters read."""
    return answer.parsed.reasoning or ""


def one_language(answer: Candidate, reward: LanguageConsistencyReward, least: float) -> bool:
    """Whether enough of the reasoning is in its target language; an unknown target lets everything pass.

    Args:
        answer ([`Candidate`]): Its row's `language`, else its prompt, names the target.
        reward ([`LanguageConsistencyReward`]): Counts.
        least (`float`): Share from 0 to 1.
    """
    (share,) = reward(
        [answer.sample.completion],
        prompts=[answer.row["prompt"]],
        language=[answer.row.get("language")],
        think_opened=[answer.think_opened],
    )
    return share is None or share >= least


def longest_paragraph(text: str) -> int:
    r"""Characters of the longest paragraph; blank lines part paragraphs.

    >>> longest_paragraph("Add 2.\nThen 3.\n\nSo 5.")
    14
    """
    return max(len(paragraph.strip()) for paragraph in _BLANK_LINES.split(text))


def has_code_block(text: str) -> bool:
    r"""Whether a line opens fenced code.

    >>> has_code_block("So:\n```python\nprint(4)\n```"), has_code_block("Call `print`.")
    (True, False)
    """
    return _FENCE.search(text) is not None


def apply_filters(
    candidates: Sequence[Candidate], filters: dict[str, Filter]
) -> tuple[list[Candidate], dict[str, list[Candidate]]]:
    """Applies filters one after the other.

    Args:
        candidates (`Sequence[Candidate]`): All answers.
        filters (`dict`): As [`answer_filters`] returns them.

    Returns:
        `tuple`: Those that pass all of them; and by filter those that fell there.
    """
    left = list(candidates)
    fallen: dict[str, list[Candidate]] = {}
    for name, passes in filters.items():
        kept: list[Candidate] = []
        fallen[name] = []
        for candidate in left:
            (kept if passes(candidate) else fallen[name]).append(candidate)
        left = kept
    return left, fallen
