"""The kept answers as rows for SFT: conversations in TRL's prompt-completion form, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r1_trl.completion import THINK_OPEN
from r1_trl.rejection.candidates import Candidate
from r1_trl.tasks.questions import asked


def sft_rows(
    candidates: Sequence[Candidate],
    rates: Mapping[str, float],
    dataset: str,
    model: str,
    seeds: Mapping[tuple[int, int], int],
) -> list[dict[str, Any]]:
    """The rows of `sft.jsonl`.

    Args:
        candidates (`Sequence[Candidate]`): The kept answers.
        rates (`Mapping[str, float]`): Pass rates by [`Candidate.asks`].
        dataset (`str`): The questions' name; the `source` of rows without one.
        model (`str`): Who gave them.
        seeds (`Mapping`): (question, number) -> seed.

    Returns:
        `list[dict]`: `prompt` and `completion` as messages, and `question` (its index), `id` and
            `language` (the row's, or `None`), `source`, `model`, `sample`, `seed`, `pass_rate`, `verified`,
            `num_tokens`.
    """
    return [
        {
            "prompt": prompt_messages(answer),
            "completion": [{"role": "assistant", "content": whole_completion(answer)}],
            "question": answer.question,
            "id": answer.row.get("id"),
            "source": answer.row.get("source") or dataset,
            "language": answer.row.get("language"),
            "model": model,
            "sample": answer.number,
            "seed": seeds[answer.question, answer.number],
            "pass_rate": rates.get(answer.asks),
            "verified": answer.verdict is not None,
            "num_tokens": answer.sample.num_tokens,
        }
        for answer in candidates
    ]


def prompt_messages(answer: Candidate) -> list[dict[str, Any]]:
    """The prompt as a conversation; a text, without R1-Zero's template or a `<think>` at its end, is the user's."""
    prompt = answer.row["prompt"]
    if not isinstance(prompt, str):
        return [dict(message) for message in prompt]
    text = prompt.rstrip()
    if text.endswith(THINK_OPEN):
        text = text.removesuffix(THINK_OPEN).rstrip()
    return [{"role": "user", "content": asked(text)}]


def whole_completion(answer: Candidate) -> str:
    """The completion, with the `<think>` that its prompt has opened: a row is whole whatever template reads it."""
    return f"{THINK_OPEN}{answer.sample.completion}" if answer.think_opened else answer.sample.completion
