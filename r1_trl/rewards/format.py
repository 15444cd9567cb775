"""Format rewards: is the completion in the form that the prompt asks for?

Stands between the rollout and TRL's GRPO step, beside the accuracy reward (paper, section 2: accuracy + format, equal
weight, rules only). Which form is right is the parser's business; see `r1_trl.completion.parse_completion`.

Departures from the paper:

1. The size of the format reward is not stated; here it is 1.0 or 0.0, and TRL's `reward_weights` sets its weight.
"""

from __future__ import annotations

from typing import Any

from r1_trl.completion import Messages, read_completion


def format_reward(
    completions: list[str | Messages],
    prompts: list[str | Messages] | None = None,
    think_opened: list[bool | None] | bool | None = None,
    **kwargs: Any,
) -> list[float]:
    """1.0 for `<think>…</think> <answer>…</answer>`, each once and not empty, and nothing else but white space.

    Args:
        completions (`list` of `str` or of messages, length B):
            The completions, in TRL's two forms.
        prompts (`list` of `str` or of messages, length B, *optional*):
            Asked whether they end with `<think>`, where `think_opened` does not say.
        think_opened (`list[bool]` of length B or `bool`, *optional*):
            Whether the prompt has already opened `<think>`. Needed where a chat template does so in its generation
            prompt, which `prompts` cannot show.
        **kwargs:
            Not used.

    Returns:
        `list[float]` of length B, each 1.0 or 0.0.

    Raises:
        `ValueError`: If a list has another length than `completions`.
        `TypeError`: If a completion is neither a string nor messages.

    >>> format_reward(["<think>2 + 2 = 4</think> <answer>4</answer>", "4", "so 4</think><answer>4</answer>"])
    [1.0, 0.0, 0.0]
    >>> format_reward(["so 4</think><answer>4</answer>"], prompts=["What is 2 + 2? <think>"])
    [1.0]
    """
    return _scores(completions, prompts, think_opened, answer_tags=True)


def think_only_format_reward(
    completions: list[str | Messages],
    prompts: list[str | Messages] | None = None,
    think_opened: list[bool | None] | bool | None = None,
    **kwargs: Any,
) -> list[float]:
    """[`format_reward`] for chat models: one non-empty think block, then a non-empty answer without answer tags.

    Arguments, result and errors are those of [`format_reward`].

    >>> think_only_format_reward(["<think>2 + 2 = 4</think> It is 4.", "<think>2 + 2 = 4</think> <answer>4</answer>"])
    [1.0, 0.0]
    """
    return _scores(completions, prompts, think_opened, answer_tags=False)


def _scores(
    completions: list[str | Messages],
    prompts: list[str | Messages] | None,
    think_opened: list[bool | None] | bool | None,
    answer_tags: bool,
) -> list[float]:
    asked = [None] * len(completions) if prompts is None else prompts
    opened = think_opened if isinstance(think_opened, list) else [think_opened] * len(completions)
    return [
        float(read_completion(completion, prompt, think, answer_tags).well_formed)
        for completion, prompt, think in zip(completions, asked, opened, strict=True)
    ]
