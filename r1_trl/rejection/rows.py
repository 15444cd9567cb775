"""The kept answers as rows for SFT: conversations in TRL's prompt-completion form, and where each came from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1_trl.completion import THINK_OPEN
from r1_trl.rejection.candidates import Candidate


def sft_rows(
    candidates: Sequence[Candidate],
    rates: Mapping[int, float],
    dataset: str,
    model: str,
    seeds: Mapping[tuple[int, int], int],
) -> list[dict[str, Any]]:
    """The rows of `sft.jsonl`.

    Args:
        candidates (`Sequence[Candidate]`): The kept answers.
        rates (`Mapping[int, float]`): Pass rates by question.
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
            "pass_rate": rates.get(answer.question),
            "verified": answer.verdict is not None,
            "num_tokens": answer.sample.num_tokens,
        }
        for answer in candidates
    ]


def prompt_messages(answer: Candidate) -> list[dict[str, Any]]:
    """The prompt as a conversation; a text is what the user says, without a `<think>` at its end."""
    prompt = answer.row["prompt"]
    if not isinstance(prompt, str):
        return [dict(message) for message in prompt]
    text = prompt.rstrip()
    if text.endswith(THINK_OPEN):
        text = text.removesuffix(THINK_OPEN).rstrip()
    return [{"role": "user", "content": text}]


def whole_completion(answer: Candidate) -> str:
    """The completion, with the `<think>` that its prompt has opened: a row is whole whatever template reads it."""
    return f"{THINK_OPEN}{answer.sample.completion}" if answer.think_opened else answer.sample.completion


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSONL so that the file is either the old one or the new one, whenever the process dies.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "sft.jsonl"
    >>> write_rows(file, [{"sample": 0}])
    >>> file.read_text()
    '{"sample": 0}\\n'
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    unfinished.replace(path)
