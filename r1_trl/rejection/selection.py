"""What an answer falls by because of the others: it repeats one, its question is too easy or hard, or has enough."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from r1_trl.rejection.candidates import Candidate
from r1_trl.rejection.config import RejectionSamplingConfig
from r1_trl.rejection.filters import Filter


def group_filters(rates: Mapping[str, float], config: RejectionSamplingConfig) -> dict[str, Filter]:
    """The filters that compare answers, in their order. Each answer may be shown to them once.

    Args:
        rates (`Mapping[str, float]`): Pass rates by [`Candidate.asks`].
        config ([`RejectionSamplingConfig`]): Thresholds and M.
    """
    seen: set[tuple[str, str]] = set()

    def is_new(answer: Candidate) -> bool:
        key = (answer.asks, normalise(answer.sample.completion))
        repeats = config.deduplicate and key in seen
        seen.add(key)
        return not repeats

    def in_window(answer: Candidate) -> bool:
        rate = rates.get(answer.asks)
        if rate is None:  # nothing of the question is graded, and it was to be kept
            return True
        return (config.min_pass_rate or 0.0) <= rate <= (1.0 if config.max_pass_rate is None else config.max_pass_rate)

    return {"duplicate": is_new, "pass_rate": in_window}


def normalise(text: str) -> str:
    r"""The text by which two answers are the same: Unicode's NFKC, and each white space one space.

    >>> normalise(" 4\n\n ４ ")
    '4 4'
    """
    return " ".join(unicodedata.normalize("NFKC", text).split())


def select(candidates: Sequence[Candidate], most: int | None, selection: str, seed: int) -> list[Candidate]:
    """At most M answers to each question, in the order in which they came. Rows with the same prompt ask one question.

    Args:
        candidates (`Sequence[Candidate]`): Answers.
        most (`int` or `None`): M; `None` keeps all.
        selection (`str`): `"random"`: each the same chance, by the seed and the question alone. `"shortest"`: by
            tokens, among equals the first.
        seed (`int`): Of the random choice.
    """
    if most is None:
        return list(candidates)
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.asks].append(candidate)
    kept: set[tuple[int, int]] = set()
    for asks, group in groups.items():
        if selection == "shortest":
            chosen = sorted(group, key=lambda answer: answer.sample.num_tokens)[:most]
        else:
            chosen = random.Random(f"{seed} {asks}").sample(group, min(most, len(group)))
        kept |= {(answer.question, answer.number) for answer in chosen}
    return [candidate for candidate in candidates if (candidate.question, candidate.number) in kept]
