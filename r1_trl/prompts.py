"""R1's prompt templates: text for base models, a system message for chat models.

Stands between the questions and the rollout. Both ask for the form that [`~r1_trl.parse_completion`] reads.
"""

from __future__ import annotations

BASE_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
    "reasoning process here </think> <answer> answer here </answer>. User: prompt. Assistant:"
)
"""DeepSeek-R1-Zero's template, verbatim [arXiv 2501.12948 v1, Table 1]; the word `prompt` stands for the question."""

SYSTEM_PROMPT = BASE_TEMPLATE.removesuffix(" User: prompt. Assistant:")
"""The same words without the dialogue, for models with a chat template."""


def base_prompt(question: str) -> str:
    """A question in R1-Zero's template, for a base model.

    Args:
        question (`str`): As the user would ask it.

    Returns:
        `str`: The template with the question in the place of `prompt`; its own words and its full stop stay.

    >>> base_prompt("What is 2 + 2?")[-32:]
    'User: What is 2 + 2?. Assistant:'
    """
    head, _, tail = BASE_TEMPLATE.rpartition("prompt")
    return f"{head}{question}{tail}"


def chat_prompt(question: str) -> list[dict[str, str]]:
    """A question for a chat model: the template's words as the system message.

    Args:
        question (`str`): As the user would ask it.

    Returns:
        `list[dict]`: A system and a user message.

    >>> [message["role"] for message in chat_prompt("What is 2 + 2?")]
    ['system', 'user']
    """
    return [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": question}]
