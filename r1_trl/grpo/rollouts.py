"""Rollouts in chunks, so that generation fits: a bounded number of prompts of similar length at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Prompt = TypeVar("Prompt", bound=Sequence[int])
Completion = TypeVar("Completion")


def in_chunks(
    prompts: Sequence[Prompt], size: int | None, generate: Callable[[list[Prompt]], list[Completion]]
) -> list[Completion]:
    """Generates for a few prompts at a time, the longest first; the completions have the order of the prompts.

    Prompts of similar length share a chunk, so little is padded; the longest chunk, which needs the most memory, shows
    at once whether it fits.

    Args:
        prompts (`Sequence[Sequence[int]]`): Token ids of each prompt.
        size (`int`, *optional*): Most prompts at once; all where it is `None`.
        generate (`Callable`): From some prompts to as many completions.

    >>> in_chunks([[1], [1, 2, 3], [1, 2]], 2, lambda chunk: [len(prompt) for prompt in chunk])
    [1, 3, 2]
    """
    if size is None or size >= len(prompts):
        return generate(list(prompts))
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    completions: dict[int, Completion] = {}
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        completions.update(zip(chunk, generate([prompts[index] for index in chunk]), strict=True))
    return [completions[index] for index in range(len(prompts))]
