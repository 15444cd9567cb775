r"""The choice verifier: does this final answer name the option that the gold names?

Reading, in this order; the first that finds something decides:

1. *Boxes*: every `\boxed{}` must hold a choice, and "the answer is A" outside of them must not disagree.
2. *The whole text*: a letter (`B`, `(b)`, `B.`), the option's text, both (`B. Paris`), or a list ("B and C").
3. *A sentence*: the letter or the option's text after "answer is", "Answer:" or "答案是", and a letter at the
   beginning ("B. Paris", "B because"). Where there is neither, a letter after "it is", "option", "I choose", "选" and
   the like, or before "is correct".

An answer that leaves a choice is wrong: two letters, "B or maybe C", a text that several options share, a letter
beside another option's text. So is a letter that the sentence denies ("not B", "B is wrong"). A letter stands for its
option even where an option's text is a letter. The article "A" and the pronoun "I" are no letters.

Departures from the paper:

1. "Matching" is all that it says of how options are graded; the rules here are ours. It has 4 to 8 options, here are
   up to 10.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeAlias

from r1_trl.verifiers.exact import normalised_text
from r1_trl.verifiers.expression import MAX_BOXES, MAX_TEXT
from r1_trl.verifiers.reason import because

# The letters that there are, with their texts as `normalised_text` writes them; "" where a text is not known.
Options: TypeAlias = dict[str, str]

LETTERS = "ABCDEFGHIJ"

_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{((?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+)\}")
_WRAPPER = re.compile(r"\\(?:text[a-z]{0,8}|math[a-z]{2,4}|mbox|operatorname)\s?\{([^{}]*)\}")
_ALONE = re.compile(r"[\s(\[\"'“{]*+([A-Ja-j])[\s)\]\"'”}.,:;!。、]*+")

# A letter in a text: not part of a word, of a formula or of "C++"; "A" and "I" not before a word; none that is asked.
_LETTER = (
    r"(?<![A-Za-z0-9_])[(\[\"'“]{0,3}(?![AI] (?!(?:is|or|and|because|since|as|but)\b)[A-Za-z0-9])"
    r"([A-J])(?![A-Za-z0-9_'’+^#-]| ?[=?])[)\]\"'”]{0,3}"
)
_BE = r"(?:is|was|are|(?:must|should|would|has to) be|'s|’s)"
_NAME = (
    r"(?i:(?:clearly |definitely |indeed |likely |probably |simply )?"
    r"(?:(?:the )?(?:correct |right |best )?(?:option|choice|answer)s? ?(?:is ?)?:? ?)?)"
)
_JOINT = r"(?:[,;/&、]|\b(?i:and|or|nor|either|both|maybe|perhaps|possibly)\b|或者?|和|也许)"
_LIST = re.compile(rf"(?:[\s.]|{_JOINT}|{_LETTER})++")
_NEXT = re.compile(rf"[,.]? ?{_JOINT} ?{_NAME}{_LETTER}")
_WITH_TEXT = re.compile(r"(?:[(\[] ?([A-J]) ?[)\]][.:,-]?|([A-J]) ?(?:[.:)、]| [-–—] ))\s?(\S.*)", re.DOTALL)
_ITEM = re.compile(r"[\n;,.]\s?[(\[]?([A-J])(?:[)\]]|[.:](?=\s|$))")

_NAMED = re.compile(_NAME + _LETTER)
_STRONG = re.compile(
    r"(?i:\b(?:(?:correct|right|best|final) (?:option|choice)|answer|solution)s?\b"
    rf"(?: to [^.:\n]{{1,80}}? {_BE}\b| ?{_BE}\b)? ?[:=]?)\s?|答案 ?(?:应该?|当)?[是为选]? ?:?\s?"
)
_WEAK = re.compile(
    rf"(?i:\b(?:option|choice|(?:it|that|this) ?{_BE}|choose|chose|pick(?:ed)?|select(?:ed)?|think|with|therefore|thus"
    r"|hence|so)\b),?:? ?|选择?项? ?:?"
)
_FIRST = re.compile(rf"\A{_LETTER}(?= (?i:because|since|as)\b|\n|因为)")
_BEFORE = rf"(?:{_LETTER} ?{_JOINT} ?)?"  # "A or" in "A or B is correct"
_PRAISED = re.compile(
    rf"{_BEFORE}{_LETTER} ?"
    r"(?:(?i:is (?:the )?(?:only )?(?:correct|right|true|best|answer)\b)|(?:选?项)?是?(?:正确|对))"
)
_HEDGED = re.compile(
    rf"(?:{_LETTER},? ?)?"
    r"(?:\b(?i:or|maybe|perhaps|possibly|alternatively|either|(?:might|could|may) be)\b|或者?|也许|可能是?|还是) ?"
    rf"(?i:even |also |it is |it's )?{_NAME}{_LETTER}"
)
_DENIED = re.compile(
    r"(?:\b(?i:not|never|neither|except|excluding|eliminated?|reject(?:ed)?|rules? out|other than|unlikely|cannot"
    r"|anything but|rather than|instead of)\b|(?i:n['’]t)\b|不是|不能?选|不应该?选|排除|并?非) ?"
    rf"(?i:(?:think|believe|sure|say|choose|pick|be) )?(?i:(?:that|if|whether) )?(?i:it ?{_BE} )?{_NAME}{_LETTER}"
)
_REFUTED = re.compile(
    rf"{_LETTER} ?(?:(?i:(?:{_BE}|seems) )?(?i:(?:clearly|definitely|obviously|also|certainly|probably) )?"
    r"(?i:wrong|incorrect|false|invalid|impossible|(?:ruled|crossed) out|eliminated|excluded)\b"
    r"|(?i:is|was|are|can|does|do|would|could) ?(?i:not|n['’]t)\b|(?i:cannot)\b|是?(?:不对|不正确|错))"
)


def verify_choice(answer: str, solution: str, args: dict[str, Any] | None = None) -> bool | None:
    r"""Whether a final answer names the gold's option, and no other.

    Args:
        answer (`str`):
            The final answer, without tags: a letter, an option's text, or a sentence with one. It may be of any
            length, but where it is longer than 2,000 characters only its boxes are read, or the cues at its end.
        solution (`str`):
            The gold: a letter (`B`, `(B)`), or the text of an option.
        args (`dict`, *optional*):
            `options` (`list[str]` or `dict[str, str]`): their texts, in the order of the letters or by letter. Without
            them, A to J are options and texts are not known.

    Returns:
        `bool`, or `None` when the gold names no option, or `options` is of another form.

    Source: paper, section 4 (STEM: an option out of 4 to 8, verified by matching).

    >>> verify_choice(r"So \boxed{\text{B}}.", "B"), verify_choice("I think it is C", "C")
    (True, True)
    >>> verify_choice("Paris", "B", {"options": ["Rome", "Paris"]})
    True
    >>> verify_choice("A. Paris", "A", {"options": ["Rome", "Paris"]}), verify_choice("B or C", "B")
    (False, False)
    """
    options = _read_options((args or {}).get("options"))
    if options is None:
        return because(None, "options are no list or dict of up to ten texts")
    gold = _whole(_plain(solution[:MAX_TEXT]), options)
    if len(gold) != 1:
        return because(None, "the gold is no option")
    chosen = read_choices(answer, options)
    if len(chosen) > 1:
        return because(False, "two different choices")
    return chosen == gold if chosen else because(False, "no choice")


def same_choice(answer: str, other: str, args: dict[str, Any] | None = None) -> bool | None:
    r"""Whether two final answers name the same option; a verifier for votes, where both are sentences of a model.

    Args:
        answer, other (`str`): Final answers, read as in [`verify_choice`].
        args (`dict`, *optional*): As in [`verify_choice`].

    Returns:
        `bool`, or `None` when `other` names no option, or several.

    >>> same_choice(r"So \boxed{\text{B}}.", "I think it is B"), same_choice("B", "B or C")
    (True, None)
    """
    options = _read_options((args or {}).get("options"))
    if options is None:
        return because(None, "options are no list or dict of up to ten texts")
    gold = read_choices(other, options)
    if len(gold) != 1:
        return because(None, "no option, or several")
    return read_choices(answer, options) == gold


verify_choice.equality = f"{__name__}.same_choice"  # type: ignore[attr-defined]


def read_choices(text: str, options: Options) -> set[str]:
    r"""The letters of the options that a text chooses: one where it leaves no doubt.

    Args:
        text (`str`): Of any length and with any characters.
        options (`dict[str, str]`): The letters that there are, with their texts as [`normalised_text`] writes them.

    >>> sorted(read_choices("It is A or B, but not C", dict.fromkeys("ABC", "")))
    ['A', 'B']
    """
    end = text[-MAX_TEXT:]
    if "\\boxed" not in text and "\\fbox" not in text:
        return _choices(_plain(end), options, is_whole=len(text.strip()) <= MAX_TEXT)
    boxes = [match.group(1) for match, _ in zip(_BOX.finditer(text), range(MAX_BOXES + 1), strict=False)]
    # a box that is cut off, or one in another, is none
    if not 0 < len(boxes) <= MAX_BOXES or len(boxes) < text.count("\\boxed") + text.count("\\fbox"):
        return set()
    chosen = [_choices(_plain(box), options) if len(box) <= MAX_TEXT else set() for box in boxes]
    return set().union(*chosen, _cued(_STRONG, _plain(_BOX.sub(" ", end)), options)) if all(chosen) else set()


def _read_options(options: Any) -> Options | None:
    if options is None:
        return dict.fromkeys(LETTERS, "")
    if isinstance(options, (list, tuple)) and len(options) <= len(LETTERS):
        options = dict(zip(LETTERS, options, strict=False))
    if not isinstance(options, dict) or not options or not set(options) <= set(LETTERS):
        return None
    return {letter: normalised_text(str(option)[:MAX_TEXT]) for letter, option in options.items()}


def _plain(text: str) -> str:
    """Without LaTeX's and Markdown's dress, full-width letters and runs of white space."""
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):
        text = _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\*\*|[*`$]|\\(?=[()\[\]])|(?<!\w)_+|_+(?!\w)", "", text)
    return re.sub(r"\s*\n\s*|\s+", lambda gap: "\n" if "\n" in gap.group() else " ", text).strip()


def _choices(plain: str, options: Options, is_whole: bool = True) -> set[str]:
    whole = _whole(plain, options) if is_whole else set()
    if whole:
        return whole
    denied = _denied(plain)
    cued = _cued(_STRONG, plain, options) | (_leading(plain, options) if is_whole else set())
    if not cued:
        cued = (_cued(_WEAK, plain, options) | _letters(_PRAISED, plain)) - denied
    if not cued or cued & denied:
        return set()
    # "A or B would be odd. The answer is C": what is weighed before the cue is no choice.
    cue = _STRONG.search(plain)
    hedged = _letters(_HEDGED, plain[cue.start() if cue else 0 :]) - denied
    return (cued | hedged) & options.keys()


def _whole(plain: str, options: Options) -> set[str]:
    """The choices of a text that is nothing but a letter, an option's text, both, or a list of letters."""
    alone = _ALONE.fullmatch(plain)
    if alone and alone.group(1).upper() in options:
        return {alone.group(1).upper()}
    both = _WITH_TEXT.fullmatch(plain)
    letter, rest = (both.group(1) or both.group(2), both.group(3)) if both else ("", "")
    if letter in _of_text(rest, options):
        return {letter}
    listed = _letters(re.compile(_LETTER), plain) if _LIST.fullmatch(plain) else set()
    return _of_text(plain, options) or listed & options.keys()


def _leading(plain: str, options: Options) -> set[str]:
    """The letter at the beginning; more than one where another option's text follows, or other items of a list."""
    match = _WITH_TEXT.fullmatch(plain)
    if not match:
        return _letters(_FIRST, plain)
    letter, rest = match.group(1) or match.group(2), match.group(3)
    return {letter, *_ITEM.findall(rest), *_disagreeing(letter, rest, options)}


def _of_text(text: str, options: Options) -> set[str]:
    text = normalised_text(text)
    return {letter for letter, option in options.items() if option and option == text}


def _disagreeing(letter: str, rest: str, options: Options) -> set[str]:
    """The options whose text follows a letter that is not theirs."""
    text = normalised_text(rest.partition("\n")[0].lstrip(" .:,-–—()"))

    def starts_with(option: str) -> bool:
        return bool(option) and text.startswith(option) and not text[len(option) : len(option) + 1].isalnum()

    if starts_with(options.get(letter, "")):
        return set()
    return {other for other, option in options.items() if starts_with(option)}


def _cued(cue: re.Pattern[str], plain: str, options: Options) -> set[str]:
    """The letters and options' texts that follow a cue, each with what is joined to it."""
    found: set[str] = set()
    for match in cue.finditer(plain):
        named = _NAMED.match(plain, match.end())
        line = plain[match.end() :].partition("\n")[0]
        if named:
            found |= {named.group(1), *_joined(plain, named.end())}
            found |= _disagreeing(named.group(1), plain[named.end() :], options)
        elif alone := _ALONE.fullmatch(line):
            found.add(alone.group(1).upper())
        elif any(options.values()):
            found |= _of_text(line, options) or _of_text(line.split(". ")[0], options)
    return found & options.keys()


def _joined(plain: str, end: int) -> list[str]:
    """The letters of "B, C or D" after the first."""
    letters = []
    while match := _NEXT.match(plain, end):
        letters.append(match.group(1))
        end = match.end()
    return letters


def _denied(plain: str) -> set[str]:
    denied = {letter for match in _DENIED.finditer(plain) for letter in (match.group(1), *_joined(plain, match.end()))}
    return denied | _letters(_REFUTED, plain)


def _letters(pattern: re.Pattern[str], plain: str) -> set[str]:
    return {letter for match in pattern.finditer(plain) for letter in match.groups() if letter}
