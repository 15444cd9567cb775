"""One completion for a reader: reasoning and answer set apart, or all of it where its form leaves that in doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from r1_trl.completion import completion_text, parse_completion, think_opened_by

LONGEST = 20_000  # characters of a text in the page
# Columns of a log that tell of a completion's form: the verdict on it first.
FORM = ("format_reward", "think_only_format_reward", "well_formed", "think_opened")
# As in page.js.
_HIDDEN = re.compile(
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What a page shows of a completion.

    Args:
        reasoning (`str`): Empty where there is none, or where it is in doubt.
        answer (`str`): The final answer; empty likewise.
        text (`str`): The whole completion as it was written, where it is not well-formed; else empty.
        problem (`str`): What is wrong with its form; empty where nothing is.
    """

    reasoning: str = ""
    answer: str = ""
    text: str = ""
    problem: str = ""


def read_answer(
    completion: Any,
    prompt: Any = None,
    longest: int = LONGEST,
    *,
    answer_tags: bool | None = None,
    think_opened: bool | None = None,
    well_formed: bool | None = None,
) -> Answer:
    """Reads a completion.

    Args:
        completion (`str` or messages): As TRL logs it.
        prompt (`str` or messages, *optional*): What it answers.
        longest (`int`, *optional*, defaults to 20,000): Characters of a text.
        answer_tags (`bool`, *optional*): Whether its stage asks for `<answer>` tags; `None` takes both forms.
        think_opened (`bool`, *optional*): Whether the prompt has opened the thinking; `None` asks `prompt`.
        well_formed (`bool`, *optional*): What its stage found. A chat template that opens the thinking cannot be seen
            in `prompt`: only this tells a completion without `<think>` from a malformed one.

    >>> read_answer("<think>2 + 2 = 4</think><answer>4</answer>")
    Answer(reasoning='2 + 2 = 4', answer='4', text='', problem='')
    >>> read_answer("<think>2 + 2 = 4").problem
    'no </think>'
    >>> read_answer("so 4</think><answer>4</answer>", well_formed=True).answer
    '4'
    """
    text = read_text(completion_text, completion)
    if think_opened is None:
        think_opened = read_text(think_opened_by, prompt)
    opened = [True] if think_opened else [False] if well_formed is None else [False, True]
    tags = [True, False] if answer_tags is None else [answer_tags]
    forms = [parse_completion(text, flag, tagged) for flag in opened for tagged in tags]
    good = next((form for form in forms if form.well_formed), None)
    if good is not None and well_formed is not False:
        return Answer(shorten(good.reasoning or "", longest), shorten(good.answer or "", longest))
    problem = next((form.problem for form in forms if form.problem), None)
    return Answer(text=shorten(text, longest), problem=problem or "not well-formed, as its stage found")


def read_row(row: Mapping[str, Any], arguments: Mapping[str, Any], longest: int = LONGEST) -> Answer:
    """Reads the completion of a logged row in the form that its stage asked for.

    Args:
        row (`Mapping`): With `completion`, and `prompt` and the columns of [`FORM`] where they were logged.
        arguments (`Mapping`): Settings of the stage.
        longest (`int`, *optional*, defaults to 20,000): Characters of a text.

    >>> read_row({"completion": "<think>a</think>b", "format_reward": 0.0}, {}).problem
    'no <answer>'
    """
    judged = {name: row[name] for name in FORM[:3] if row.get(name) in (0, 1)}
    tags = arguments.get("answer_tags")
    for name, tagged in (("format_reward", True), ("think_only_format_reward", False)):
        tags = tagged if name in judged else tags
    opened = row.get("think_opened")
    return read_answer(
        row["completion"],
        row.get("prompt"),
        longest,
        answer_tags=tags if isinstance(tags, bool) else None,
        think_opened=opened if isinstance(opened, bool) else None,
        well_formed=bool(next(iter(judged.values()))) if judged else None,
    )


def read_text(read: Callable[[Any], T], value: Any) -> T:
    """What a function of [`r1_trl.completion`] reads; a value that TRL does not log, such as a number, as its text.

    >>> read_text(completion_text, 42), read_text(completion_text, None)
    ('42', '')
    """
    if value is None:
        return read("")
    try:
        return read(value)
    except TypeError:
        return read(str(value))


def visible(text: str) -> str:
    """A text with the names of those characters that hide, or turn the direction of what follows.

    >>> visible("a\\u202eb")
    'a‹U+202E›b'
    """
    return _HIDDEN.sub(lambda match: f"‹U+{ord(match[0]):04X}›", text)


def shorten(text: str, longest: int = LONGEST) -> str:
    """A text without its middle where it is too long for a page, and how much that was.

    >>> shorten("a" * 30, longest=20)
    'aaaaaaaaaaaaaaa\\n[… 10 characters left out …]\\naaaaa'
    """
    if len(text) <= longest:
        return text
    head = longest * 3 // 4
    tail = longest - head
    return f"{text[:head]}\n[… {len(text) - longest:,} characters left out …]\n{text[-tail:]}"
