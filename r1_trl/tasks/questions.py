"""What a row asks, whatever its columns, and on which side of a split that puts it.

A row is split by its question alone: not by its place, which changes with the order of a file, and not by its text as
it stands, which changes with the prompt's template.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from r1_trl.prompts import base_prompt

# Columns that hold the question, the first that a row has; a conversation asks by what its user says.
QUESTION_COLUMNS = ("prompt", "question", "messages", "chosen", "text")
_HEAD, _, _TAIL = base_prompt("\0").partition("\0")


def normalise(text: str) -> str:
    """A text without what does not change its meaning: case, white space, and forms of one character.

    >>> normalise("  What is\\n２ + 2?")
    'what is 2 + 2?'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def message_text(content: Any) -> str:
    """The text of a message's content, which may be a list of blocks.

    >>> message_text([{"type": "text", "text": "What is"}, {"type": "image"}, {"type": "text", "text": "this?"}])
    'What is this?'
    """
    if isinstance(content, list):
        return " ".join(block["text"] for block in content if block.get("text"))
    return content or ""


def asked(value: Any) -> str:
    """The question in a prompt: the text without R1-Zero's template, or what the user says in the messages.

    >>> asked([{"role": "system", "content": "Think."}, {"role": "user", "content": "1 + 1?"}])
    '1 + 1?'
    >>> asked(base_prompt("1 + 1?"))
    '1 + 1?'
    """
    if isinstance(value, list):
        return "\n".join(message_text(message["content"]) for message in value if message["role"] == "user")
    text = value or ""
    if text.startswith(_HEAD) and text.endswith(_TAIL):
        return str(text[len(_HEAD) : -len(_TAIL)])
    return str(text)


def question_of(row: Mapping[str, Any]) -> str:
    """The question of a row, from the first of `prompt`, `question`, `messages`, `chosen` and `text` that it has.

    >>> question_of({"prompt": [{"role": "user", "content": "1 + 1?"}], "solution": "2"})
    '1 + 1?'
    """
    return next((asked(row[column]) for column in QUESTION_COLUMNS if row.get(column)), "")


def is_held_out(question: str, share: float, salt: str = "") -> bool:
    """Whether a question belongs to the held-out side: decided by its hash, for good.

    Args:
        question (`str`): Case and white space do not count.
        share (`float`): Between 0 and 1: about so many questions are held out. A larger share holds out the same
            questions, and others.
        salt (`str`, *optional*, defaults to `""`): Another salt makes an independent split.

    >>> is_held_out("What is 1 + 1?", 0.5) == is_held_out(" what is  1 + 1?", 0.5)
    True
    """
    digest = hashlib.sha256(f"{salt}{normalise(question)}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
