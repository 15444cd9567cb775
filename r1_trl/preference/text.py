"""What a reward model reads of a completion: the final answer alone, or the whole response (paper, section 3).

Stands between the parser and everything that trains or asks a reward model, so that a model scores what it was trained
on, token by token.

Departures from the paper:

1. It calls what the helpful model reads "the final summary". Here that is the parser's final answer, without tags.
2. How a prompt and a summary are joined is not stated: by the chat template, as TRL does it, and for text prompts by a
   space.
"""

from __future__ import annotations

from typing import Any

from r1_trl.completion import THINK_CLOSE, THINK_OPEN, Messages, completion_text, read_completion

SCORES = ("answer", "response")
_PROBE = "reasoning"


def scored_text(
    completion: str | Messages,
    scores: str,
    prompt: str | Messages | None = None,
    think_opened: bool | None = None,
) -> str | None:
    """The part of a completion that is scored.

    Args:
        completion (`str` or messages): In TRL's two forms.
        scores (`str`): `"answer"`: the final answer by [`~r1_trl.parse_completion`]. `"response"`: all of it.
        prompt (`str` or messages, *optional*): Asked for `<think>` at its end, where `think_opened` is not given.
        think_opened (`bool`, *optional*): Whether the prompt has opened `<think>`.

    Returns:
        `str` or `None`: `None` for an answer that is not there. After a text prompt that ends with no white space, an
            answer has a space in front.

    >>> scored_text("<think>2 + 2</think> <answer>4</answer>", "answer")
    '4'
    >>> scored_text("<think>2 + 2</think> <answer>4</answer>", "response")
    '<think>2 + 2</think> <answer>4</answer>'
    >>> scored_text("<think>2 + 2", "answer") is None
    True
    """
    if scores == "response":
        return completion_text(completion)
    answer = read_completion(completion, prompt, think_opened).answer
    needs_space = isinstance(prompt, str) and prompt[-1:].strip() != ""
    return f" {answer}" if answer is not None and needs_space else answer


def with_response(prompt: str | Messages, text: str) -> str | list[dict[str, Any]]:
    """The response in the form of its prompt: text, or one message of the assistant.

    >>> with_response("2 + 2 =", " 4"), with_response([{"role": "user", "content": "2 + 2?"}], "4")
    (' 4', [{'role': 'assistant', 'content': '4'}])
    """
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]


def response_ids(tokenizer: Any, prompt: str | Messages, text: str) -> list[int]:
    """The tokens that a reward model reads: prompt and response, ended, as TRL's `RewardTrainer` makes them.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With a chat template where prompts are messages.
        prompt (`str` or messages): The prompt.
        text (`str`): The response, as [`scored_text`] gives it.
    """
    if isinstance(prompt, str):
        whole = prompt + text
        return list(
            tokenizer(text=whole if whole.endswith(tokenizer.eos_token) else whole + tokenizer.eos_token).input_ids
        )
    messages = [*prompt, {"role": "assistant", "content": text}]
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"])


def template_problem(tokenizer: Any, scores: str) -> str | None:
    """What keeps a tokenizer's chat template from showing the whole response to the model, or `None`.

    Templates of reasoning models may cut what stands before `</think>` out of every message: a model that is to judge
    the reasoning would never see it.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): The reward model's.
        scores (`str`): `"answer"` or `"response"`.
    """
    if not tokenizer.chat_template:
        return "the tokenizer has no chat template, and prompts are messages"
    response = f"{THINK_OPEN}{_PROBE}{THINK_CLOSE}answer"
    messages = [{"role": "user", "content": "question"}, {"role": "assistant", "content": response}]
    if scores == "response" and _PROBE not in tokenizer.apply_chat_template(messages, tokenize=False):
        return "the tokenizer's chat template leaves the reasoning out, which is to be scored"
    return None
