"""What a judge is asked, and how its verdict is read.

Departures from the paper, which has an LLM compare each pair in four queries (section 3):

1. The scale of its scores is not stated. Here each answer is scored from 1 to 10.
2. Its prompt is in `judge_prompt.txt`; a file of one's own takes its place.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from r1_trl.errors import InputError

PROMPT_FILE = Path(__file__).with_name("judge_prompt.txt")
LEAST, MOST = 1.0, 10.0
_FIELDS = {"question", "answer_a", "answer_b"}
_VERDICT = re.compile(r"\[\[ *(\d{1,2}(?:\.\d{1,3})?) *, *(\d{1,2}(?:\.\d{1,3})?) *\]\]", re.ASCII)


def read_template(path: str | None = None) -> Template:
    """The judge's prompt, with `$question`, `$answer_a` and `$answer_b`.

    Args:
        path (`str`, *optional*): A file of one's own.

    Raises:
        InputError: There is no such file, or it lacks a field or has another one.

    >>> read_template().template[:23]
    'You compare two answers'
    """
    try:
        template = Template(Path(path or PROMPT_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"`judge_prompt_file: {path}` cannot be read: {error}") from error
    if not template.is_valid() or set(template.get_identifiers()) != _FIELDS:
        names = ", ".join(f"${name}" for name in sorted(_FIELDS))
        raise InputError(
            f"`judge_prompt_file: {path}` must have the fields {names}, no other ones, and $$ for a dollar"
        )
    return template


def read_verdict(reply: str) -> tuple[float, float] | None:
    """The two scores on the last line of a judge's reply; `None` for anything else.

    >>> read_verdict("A is right, B is not.\\n[[9, 2.5]]")
    (9.0, 2.5)
    >>> [read_verdict(reply) for reply in ("[[9, 2]] or so", "[[11, 2]]", "[[9]]", "A is better", "")]
    [None, None, None, None, None]
    """
    lines = reply.rstrip().splitlines()
    found = _VERDICT.fullmatch(lines[-1].strip()) if lines else None
    if found is None:
        return None
    first, second = float(found[1]), float(found[2])
    return (first, second) if LEAST <= first <= MOST and LEAST <= second <= MOST else None
