"""The parser of a completion: reasoning, final answer, and what is wrong with its form.

It stands between the rollout and everything that judges one: rewards, rejection sampling, evaluation. Nobody else
looks for tags, so that all of them agree on what the reasoning and the answer are (paper, Table 1:
`<think> … </think> <answer> … </answer>`).

Two questions are kept apart. *Is it well-formed?* is strict, for the format reward. *What is the final answer?* is
lenient wherever the text leaves no doubt, for the accuracy reward; wherever it does leave one, there is no answer.

All of it is plain string search in linear time: a completion is hostile input of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"

# A string, or a conversation. TRL's messages are plain dicts, so nothing tighter than Any holds for their values.
Messages: TypeAlias = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Completion:
    """What one completion says, and whether it says it in the right form.

    Args:
        reasoning (`str` or `None`):
            Text of the think block(s), stripped, several joined by a line break. `None` when there is no block or
            nothing in it. A block that is never closed counts as well: it is reasoning that was cut off.
        answer (`str` or `None`):
            The final answer, stripped and never empty. `None` when there is none or when the text leaves in doubt
            which one it is.
        problem (`str` or `None`):
            `None` when well-formed, else a short sentence on what is wrong first.

    >>> Completion(reasoning="2 + 2 = 4", answer="4", problem=None).well_formed
    True
    """

    reasoning: str | None
    answer: str | None
    problem: str | None

    @property
    def well_formed(self) -> bool:
        """Whether nothing is wrong with the form (`bool`)."""
        return self.problem is None


def parse_completion(text: str, think_opened: bool = False, answer_tags: bool = True) -> Completion:
    """Reads reasoning, final answer and form out of the text that follows the prompt.

    Well-formed is exactly one non-empty `<think>…</think>`, then exactly one non-empty `<answer>…</answer>`, and white
    space around them only (paper, Table 1 and the format reward of section 2.2). Tags are matched to the letter.

    The final answer is also found in malformed text, by these rules in this order:

    1. Thinking that is still open at the end of the text (or is opened again) has no answer.
    2. Only what follows the last `</think>` counts; without any think tag, the whole text.
    3. One `<answer>…</answer>` there is the answer. Any other number of answer tags is no answer: two blocks are
       hedging, and an answer that is not closed may be cut off in the middle of a number.
    4. Without answer tags, all of it is the answer.

    Args:
        text (`str`):
            The completion, of any length and with any characters.
        think_opened (`bool`, *optional*, defaults to `False`):
            Whether the prompt ends with `<think>`, so that the text starts inside the block. A further `<think>` is
            then malformed, even when it comes first: a policy must not learn to double the tag. A server that echoes
            the prompt's tag returns a text that opens the block itself: pass `False` for it. Reasoning and answer are
            the same either way.
        answer_tags (`bool`, *optional*, defaults to `True`):
            `False` asks for the form of chat models instead: one non-empty think block, then a non-empty answer
            without answer tags. It changes `problem` only.

    Returns:
        [`Completion`]

    Raises:
        `TypeError`: If `text` is no string.

    >>> parse_completion("<think> 2 + 2 = 4 </think> <answer> 4 </answer>")
    Completion(reasoning='2 + 2 = 4', answer='4', problem=None)
    >>> parse_completion("2 + 2 = 4</think><answer>4</answer> I hope.", think_opened=True)
    Completion(reasoning='2 + 2 = 4', answer='4', problem='text after </answer>')
    >>> parse_completion("<think>2 + 2 = 4</think>It is 4.", answer_tags=False).well_formed
    True
    """
    if not isinstance(text, str):
        raise TypeError(f"a completion's text must be a str, got {type(text).__name__}")
    reasoning, rest = _split_reasoning(text, think_opened)
    return Completion(
        reasoning=reasoning,
        answer=None if rest is None else _final_answer(rest),
        problem=_problem(text, think_opened, answer_tags),
    )


def read_completion(
    completion: str | Messages,
    prompt: str | Messages | None = None,
    think_opened: bool | None = None,
    answer_tags: bool = True,
) -> Completion:
    """[`parse_completion`] for a completion as TRL hands it to a reward: a string or messages, with its prompt.

    Args:
        completion (`str` or messages):
            See [`completion_text`]. Where a message carries its reasoning in a field of its own, the tags of the block
            are put back, so the block is complete whatever the prompt has opened.
        prompt (`str`, messages or `None`, *optional*):
            Asked for `<think>` at its end when `think_opened` is not given.
        think_opened (`bool` or `None`, *optional*):
            Whether the prompt has opened `<think>`. A chat template that opens it in the generation prompt cannot be
            seen in `prompt`: then a column has to say so. `None` asks `prompt`.
        answer_tags (`bool`, *optional*, defaults to `True`):
            See [`parse_completion`].

    >>> read_completion([{"role": "assistant", "content": "so 4</think><answer>4</answer>"}], "2 + 2? <think>")
    Completion(reasoning='so 4', answer='4', problem=None)
    """
    if think_opened is None:
        think_opened = prompt is not None and think_opened_by(prompt)
    text = completion_text(completion)
    if think_opened and not isinstance(completion, str) and any(_own_reasoning(m) for m in completion):
        think_opened = False
    return parse_completion(text, think_opened=think_opened, answer_tags=answer_tags)


def completion_text(completion: str | Messages) -> str:
    """The text of a completion: the string itself, or the assistant's messages joined by a line break.

    Args:
        completion (`str` or messages):
            A message is a dict with `content`: a string, a list of parts (`{"type": "text", "text": …}`; other types
            are left out) or `None` (a tool call). A message without `role` is the assistant's, other roles are left
            out. Reasoning that a response parser has moved into `reasoning_content` or `thinking` goes back in front
            of the content as `<think>…</think>`: TRL does that to models with a response template, such as Qwen3.

    Raises:
        `TypeError`: If the completion, a message or a content is of any other type.

    >>> completion_text([{"role": "assistant", "content": "<think>so</think>4"}])
    '<think>so</think>4'
    >>> completion_text([{"role": "assistant", "reasoning_content": "so", "content": "4"}])
    '<think>so</think>4'
    """
    if isinstance(completion, str):
        return completion
    texts = []
    for message in _messages(completion, "completion"):
        if message.get("role", "assistant") == "assistant":
            reasoning = _own_reasoning(message)
            block = f"{THINK_OPEN}{reasoning}{THINK_CLOSE}" if reasoning else ""
            texts.append(block + _content_text(message.get("content")))
    return "\n".join(texts)


def prompt_text(prompt: str | Messages) -> str:
    """The question: the string itself, or the user's messages joined by a line break.

    Raises:
        `TypeError`: If the prompt, a message or a content is of any other type.

    >>> prompt_text([{"role": "system", "content": "Think first."}, {"role": "user", "content": "What is 2 + 2?"}])
    'What is 2 + 2?'
    """
    if isinstance(prompt, str):
        return prompt
    messages = _messages(prompt, "prompt")
    return "\n".join(_content_text(m.get("content")) for m in messages if m.get("role") == "user")


def think_opened_by(prompt: str | Messages) -> bool:
    """Whether the prompt ends with `<think>`, apart from white space: as a text, or in an assistant's prefill.

    Raises:
        `TypeError`: If the prompt, a message or a content is of any other type.

    >>> think_opened_by("What is 2 + 2? Assistant: <think>\\n")
    True
    >>> think_opened_by([{"role": "user", "content": "What does <think> mean? <think>"}])
    False
    """
    if isinstance(prompt, str):
        return prompt.rstrip().endswith(THINK_OPEN)
    messages = _messages(prompt, "prompt")
    if not messages or messages[-1].get("role") != "assistant":
        return False
    return _content_text(messages[-1].get("content")).rstrip().endswith(THINK_OPEN)


def _split_reasoning(text: str, think_opened: bool) -> tuple[str | None, str | None]:
    """The reasoning, and what follows it: None while thinking is open."""
    *closed, rest = text.split(THINK_CLOSE)
    blocks = []
    for i, part in enumerate(closed):
        _, opened, block = part.partition(THINK_OPEN)
        # `</think>` closes what the prompt opened, or what nobody did: what stands before it is reasoning anyway.
        blocks.append(block if opened and not (i == 0 and think_opened) else part)
    still_open = think_opened and not closed
    if still_open or THINK_OPEN in rest:
        blocks.append(rest if still_open else rest.partition(THINK_OPEN)[2])
        after = None
    else:
        after = rest
    # A nested tag gives way to a space, not to nothing: `<thi<think>nk>` must not turn into a tag.
    reasoning = "\n".join(block.replace(THINK_OPEN, " ").strip() for block in blocks).strip()
    return reasoning or None, after


def _final_answer(rest: str) -> str | None:
    """The answer in what follows the reasoning."""
    tags = rest.count(ANSWER_OPEN), rest.count(ANSWER_CLOSE)
    if tags == (0, 0):
        return rest.strip() or None
    if tags != (1, 1):
        return None
    answer, closed, _ = rest.partition(ANSWER_OPEN)[2].partition(ANSWER_CLOSE)
    return (answer.strip() or None) if closed else None


def _problem(text: str, think_opened: bool, answer_tags: bool) -> str | None:
    """The first thing that is wrong with the form."""
    wanted = {THINK_OPEN: not think_opened, THINK_CLOSE: True, ANSWER_OPEN: answer_tags, ANSWER_CLOSE: answer_tags}
    for tag, once in wanted.items():
        found = text.count(tag)
        if found < once:
            return f"no {tag}"
        if found > once:
            return f"{found} {tag}" if once else f"{tag}, which has no place here"
    before, _, rest = ("", "", text) if think_opened else text.partition(THINK_OPEN)
    reasoning, closed, rest = rest.partition(THINK_CLOSE)
    if not closed:
        return f"{THINK_CLOSE} before {THINK_OPEN}"
    if before.strip():
        return f"text before {THINK_OPEN}"
    if not reasoning.strip():
        return "empty reasoning"
    return _answer_problem(rest) if answer_tags else (None if rest.strip() else "empty answer")


def _answer_problem(rest: str) -> str | None:
    """The first thing that is wrong after `</think>`, where each answer tag stands once in the whole text."""
    gap, opened, rest = rest.partition(ANSWER_OPEN)
    if not opened:
        return f"{ANSWER_OPEN} before {THINK_CLOSE}"
    answer, closed, after = rest.partition(ANSWER_CLOSE)
    if not closed:
        return f"{ANSWER_CLOSE} before {ANSWER_OPEN}"
    if gap.strip():
        return f"text between {THINK_CLOSE} and {ANSWER_OPEN}"
    if after.strip():
        return f"text after {ANSWER_CLOSE}"
    return None if answer.strip() else "empty answer"


def _messages(value: Any, what: str) -> Messages:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"a {what} must be a str or a list of messages, got {type(value).__name__}")
    for message in value:
        if not isinstance(message, dict):
            raise TypeError(f"a message of a {what} must be a dict, got {type(message).__name__}")
    return value


def _own_reasoning(message: dict[str, Any]) -> str:
    """Reasoning that a response parser has moved out of the content."""
    return _content_text(message.get("reasoning_content") or message.get("thinking"))


def _content_text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError(f"a message's content must be a str, a list of parts or None, got {type(content).__name__}")
    texts = []
    for part in content:
        if not isinstance(part, dict):
            raise TypeError(f"a part of a message's content must be a dict, got {type(part).__name__}")
        if part.get("type") == "text":
            texts.append(part["text"])
    return "".join(texts)
