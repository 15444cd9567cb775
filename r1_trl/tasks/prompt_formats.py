"""From a question to a prompt, by a format with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from r1_trl.errors import InputError, did_you_mean
from r1_trl.prompts import base_prompt, chat_prompt


def _user_message(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


# name -> from the question to the column `prompt`
PROMPT_FORMATS: dict[str, Callable[[str], Any]] = {
    "messages": _user_message,
    "r1_chat": chat_prompt,
    "r1_zero": base_prompt,
    "text": str,
}
TEXT_FORMATS = ("r1_zero", "text")  # the others make messages


def make_prompt(question: str, prompt_format: str, system_prompt: str | None = None) -> Any:
    """The prompt that asks a question.

    Args:
        question (`str`): As the user would ask it.
        prompt_format (`str`): One of [`PROMPT_FORMATS`].
        system_prompt (`str`, *optional*): The system message before it.

    Returns:
        `str` or `list[dict]`: Text or messages.

    >>> make_prompt("1 + 1?", "messages", "Think.")
    [{'role': 'system', 'content': 'Think.'}, {'role': 'user', 'content': '1 + 1?'}]
    """
    prompt = PROMPT_FORMATS[prompt_format](question)
    return [{"role": "system", "content": system_prompt}, *prompt] if system_prompt else prompt


def check_prompt_format(prompt_format: str, system_prompt: str | None) -> None:
    """Refuses a format without a template, and a system message where there is no place for it.

    >>> check_prompt_format("r1zero", None)
    Traceback (most recent call last):
    r1_trl.errors.InputError: `prompt_format: r1zero` is none of messages, r1_chat, r1_zero, text; did you mean \
`r1_zero`?
    """
    if prompt_format not in PROMPT_FORMATS:
        hint = did_you_mean(str(prompt_format), PROMPT_FORMATS, "`")
        raise InputError(f"`prompt_format: {prompt_format}` is none of {', '.join(PROMPT_FORMATS)}{hint}")
    if system_prompt is not None and prompt_format != "messages":
        raise InputError(f"`system_prompt` goes with `prompt_format: messages`, not with `{prompt_format}`: drop one")
