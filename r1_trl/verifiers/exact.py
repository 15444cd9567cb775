r"""The exact verifier: is this final answer the same text as the gold?

For answers that are names, words, dates or codes. Both sides are written in one way first (see [`normalised_text`]);
nothing is looked for inside a sentence, so "It is Paris" is not "Paris".
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from r1_trl.verifiers.reason import because

# Beyond four times the gold and this many characters more, an answer is wrong unread.
MAX_EXTRA = 10_000
# Layers of dress that come off ("**`Paris`**" has two); a person does not write more.
MAX_LAYERS = 16

_PAIRS = [("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")]
_PAIRS += [('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("「", "」"), ("『", "』")]
_WRAPPER = re.compile(r"\\(?:boxed|fbox|mbox|mathrm|mathbf|text[a-z]{0,8})\s*\{")
_TRAILING = ".,;:!?。、"


def verify_exact(answer: str, solution: str, args: dict[str, Any] | None = None) -> bool | None:
    r"""Whether a final answer is the same text as the gold, apart from how it is dressed.

    Args:
        answer (`str`):
            The final answer, without tags. One that is longer than four times the gold and 10,000 characters is wrong
            unread.
        solution (`str`):
            The gold.
        args (`dict`, *optional*):
            `ignore_case` (`bool`, defaults to `True`): `False` tells "us" from "US".

    Returns:
        `bool`, or `None` when nothing is left of the gold without its dress.

    Source: paper, section 4 (logic: answers of any form, checked automatically).

    >>> verify_exact("**Paris**.", "paris"), verify_exact(r"\boxed{\text{New  York}}", "New York")
    (True, True)
    >>> verify_exact("us", "US", {"ignore_case": False}), verify_exact("It is Paris", "Paris")
    (False, False)
    """
    ignore_case = bool((args or {}).get("ignore_case", True))
    gold = normalised_text(solution, ignore_case)
    if not gold:
        return because(None, "the gold is empty")
    if len(answer) > 4 * len(solution) + MAX_EXTRA:
        return because(False, "far longer than the gold")
    return gold == normalised_text(answer, ignore_case)


verify_exact.equality = "exact"  # type: ignore[attr-defined]


def normalised_text(text: str, ignore_case: bool = True) -> str:
    r"""A text in the one way of writing it that texts are compared in.

    1. Unicode's NFKC: full-width letters, ligatures, composed accents and superscripts become the plain characters.
    2. White space: every run is one space, none is left around.
    3. Dress around the whole text comes off, up to 16 layers: `\boxed{}`, `\text{}` and its like, Markdown's bold,
       italics and code, `$…$`, `\(…\)`, `\[…\]`, pairs of quotes. Brackets stay, since they mean something.
    4. So do full stops, commas, colons, semicolons, question and exclamation marks at the end, but not the factorial
       in "5!". Signs at the beginning stay: ".5" is not "5".
    5. Case: folded as Unicode says ("Straße" is "STRASSE"), where `ignore_case` is true.

    Args:
        text (`str`): Of any length and with any characters.
        ignore_case (`bool`, *optional*, defaults to `True`): Whether to fold the case.

    >>> normalised_text("  “Ｐａｒｉｓ\n Nord”. ")
    'paris nord'
    """
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    for _ in range(MAX_LAYERS):
        bare = _without_a_layer(text)
        if bare == text:
            break
        text = bare
    # Folding may bring back what NFKC had composed, so it follows once more, as in Unicode's NFKC_Casefold.
    return unicodedata.normalize("NFKC", text.casefold()) if ignore_case else text


def _without_a_layer(text: str) -> str:
    bare = text.rstrip(_TRAILING + " ")
    if text[len(bare) : len(bare) + 1] == "!" and bare[-1:].isdigit():
        bare = text[: len(bare) + 1]
    wrapper = _WRAPPER.match(bare)
    if wrapper and _closes_at_the_end(bare, wrapper.end()):
        return bare[wrapper.end() : -1].strip()
    for opening, closing in _PAIRS:
        inner = bare[len(opening) : -len(closing)]
        # not the "a" * "b" whose quotes are two pairs
        if len(bare) > len(opening + closing) and bare == opening + inner + closing and closing not in inner:
            return inner.strip()
    return bare


def _closes_at_the_end(text: str, start: int) -> bool:
    """Whether the brace that is open at `start` closes with the last character."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i == len(text) - 1
    return False
