r"""The words of a text, and the language each of them is in.

The language consistency reward (DeepSeek-R1, Nature 2025, eq. 7) is a share of words; the paper states neither its
tokeniser nor its language detector. These are the rules here.

**What is no word.** Code (fenced, or between backticks; an open fence runs to the end), mathematics (`$…$`, `$$…$$`,
`\(…\)`, `\[…\]`, environments, and any `\command` with its arguments), URLs, e-mail addresses, XML tags, numbers and
identifiers with a digit or an underscore. Nor is what all languages share: a single Latin or Greek letter (a variable;
English "a" and "I" and French "à" weigh nothing either), two to four Latin capitals (ABC, DNA), names of functions and
units (`log`, `km`).

**What is one word.** A run of letters with their marks: Korean is counted by the space (eojeol), "don't" is one.
Scripts without spaces are counted by the length of each run, rounded, at least 1: 1.5 Chinese characters a word, 2
Japanese, 4 Thai. A text and its translation then weigh about the same (the tests' ten sentences: 94 English words, 147
Chinese or 189 Japanese characters), where one word a character would let Chinese outweigh English.

**Which language.** Scripts decide wherever they can. Chinese characters are Japanese in a sentence with kana, and in a
kana-less one of at most eight, all in the Japanese standard set, that follows a Japanese sentence (or starts a text
that has kana somewhere); otherwise they are Chinese. Among languages of one script, the most probable sequence over
the words wins (Viterbi): lingua gives the evidence for each word alone, a change of language costs `SWITCH_COST` nats,
or `SWITCH_COST_AT_BREAK` at punctuation, and the first language asked for starts with `FIRST_BONUS`. Words of no
language asked for are `"und"` (ISO 639: undetermined) and count as words all the same.

A text is hostile input: every pattern runs in linear time, and only the first `MAX_CHARACTERS` are read.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import regex  # type: ignore[import-untyped]

from r1_trl.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from lingua import LanguageDetector

logger = logging.getLogger(__name__)

# ISO 639-1 code -> its script (Unicode's name; "Kana" stands for hiragana and katakana).
# fmt: off
_BY_SCRIPT = {
    "Latin": "en fr de es it pt nl sv pl tr vi", "Cyrillic": "ru uk bg", "Arabic": "ar fa ur", "Devanagari": "hi",
    "Han": "zh", "Kana": "ja", "Hangul": "ko", "Greek": "el", "Hebrew": "he", "Thai": "th", "Bengali": "bn",
}
# fmt: on
LANGUAGES = {code: script for script, codes in _BY_SCRIPT.items() for code in codes.split()}
DEFAULT_LANGUAGES = ("en", "zh", "ja", "ko", "ru", "ar", "hi", "fr", "de", "es")
UNDETERMINED = "und"

MAX_CHARACTERS = 200_000  # a chain of 32,768 tokens has about 130,000
# Chosen on a small grid over 240 mixtures of en, fr, de and es (tests/test_language.py says how well they do).
SWITCH_COST, SWITCH_COST_AT_BREAK, FIRST_BONUS = 2.5, 1.0, 1.0
_MIN_PROBABILITY = 0.03  # -log is below two switches: no foreign name breaks up a sentence alone
_MAX_WORD = 32  # letters of a word that the detector reads
_CHARACTERS_PER_WORD = {"Han": 1.5, "Kana": 2.0, "Thai": 4.0}
_MAX_KANJI_FRAGMENT = 8

# (a string that must be there, what then goes). Possessive quantifiers and stops at the next opener keep each linear.
_NO_PROSE = [
    ("```", re.compile(r"```[^`]*+(?:`{1,2}(?!`)[^`]*+)*+(?:```|\Z)")),
    ("`", re.compile(r"`[^`\n]++`")),
    (r"\begin", re.compile(r"\\begin\{[^{}\n]{1,40}+\}(?:[^\\]++|\\(?!(?:begin|end)\{))*+\\end\{[^{}\n]{1,40}+\}")),
    ("$$", re.compile(r"\$\$[^$]++\$\$")),
    # As in Pandoc, so that two prices are no formula: no space inside the dollars, no digit after the second.
    ("$", re.compile(r"(?<!\\)\$(?![\s$])(?:[^$\\\n]++|\\.)++(?<!\s)\$(?!\d)")),
    (r"\(", re.compile(r"\\\((?:[^\\]++|\\(?![()]))*+\\\)")),
    (r"\[", re.compile(r"\\\[(?:[^\\]++|\\(?![\[\]]))*+\\\]")),
    ("\\", re.compile(r"\\[A-Za-z]++\*?(?:\{(?:[^{}]++|\{[^{}]*+\})*+\}|\[[^\[\]]*+\])*+")),
    ("://", re.compile(r"(?:https?|ftp|file)://[!-~]*+", re.IGNORECASE)),
    ("www.", re.compile(r"\bwww\.[!-~]++")),
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w.-]++", re.ASCII)),
    ("<", re.compile(r"</?[^\W\d][\w:.-]*+(?:\s++[\w:.-]++\s*+=\s*+(?:['\"][^'\"<>]*+['\"]|[^\s<>'\"/]++))*+\s*+/?>")),
    ("", re.compile(r"(?<![A-Za-z\d_])[A-Za-z]*+[\d_]\w*+", re.ASCII)),
]
_FUNCTIONS = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim max min gcd lcm mod sqrt"
_SYMBOLS = frozenset([*_FUNCTIONS.split(), "mm", "cm", "dm", "km", "mg", "kg", "ml", "kw", "mph", "kmh"])


def _word_pattern(script: str) -> str:
    letter = rf"[\p{{Script={script}}}&&\p{{L}}]"
    if script == "Kana":
        return r"[\p{Script=Hiragana}\p{Script=Katakana}ー]++"
    if script in ("Latin", "Greek"):
        return rf"{letter}(?:['’]?+[{letter}\p{{M}}])++"
    return rf"{letter}[{letter}\p{{M}}\u0640\u200c\u200d]*+"  # tatweel and joiners: Arabic and Indic


_WORD = {script: regex.compile(_word_pattern(script), regex.V1) for script in _BY_SCRIPT}
# Anything but the script's own letters, spaces, numbers and hyphens separates two words as a comma does.
_WORD_OR_BREAK = {
    script: regex.compile(rf"({word.pattern})|[^\p{{Script={script}}}\p{{M}}\s\d'’-]++", regex.V1)
    for script, word in _WORD.items()
}
_JAPANESE_WORD = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]++")
# "Common" letters are mathematical ones such as 𝑥 and ℝ.
_FURTHER_SCRIPT = regex.compile(
    r"[\p{L}--[\p{Script=Common}\p{Script=Latin}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]]", regex.V1
)
_UNKNOWN_SCRIPT = regex.compile(
    rf"[{_FURTHER_SCRIPT.pattern}--[" + "".join(rf"\p{{Script={s}}}" for s in _BY_SCRIPT if s != "Kana") + "]]++",
    regex.V1,
)
_SENTENCE_END = re.compile(r"[。！？!?\n]|\.\s")


def language_code(tag: str) -> str:
    """The ISO 639-1 code that a language tag starts with: `"zh"` for `"zh"`, `"ZH"`, `"zh-Hans"` or `"zh_CN"`.

    Raises:
        [`InputError`]: If the language is not supported.

    >>> language_code("zh-Hans")
    'zh'
    """
    code = re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]
    if code not in LANGUAGES:
        raise InputError(f"language {tag!r} is not supported; choose from {', '.join(LANGUAGES)}")
    return code


def count_words(text: str, languages: Sequence[str] | None = None, target: str | None = None) -> dict[str, int]:
    """Counts the words of a text by language.

    Args:
        text (`str`):
            Any text; what is a word, see the module.
        languages (`Sequence[str]`, *optional*):
            The languages that may occur in it, as ISO 639-1 codes. Of languages that share a script the first is
            preferred where the evidence is weak. Defaults to `DEFAULT_LANGUAGES`; without the extra `language`, Latin
            words then all count as English. Where no two share a script (`["en", "zh"]`), no detector is loaded.
        target (`str`, *optional*):
            Counts only this language and leaves all others to `"und"`: no detector is loaded then unless another
            language shares its script. It joins `languages` where it is not among them.

    Returns:
        `dict[str, int]`: Number of words of each language that occurs, and of `"und"`.

    Raises:
        [`InputError`]: If a language is not supported.
        [`MissingExtraError`]: If languages of one script have to be told apart and the extra `language` is missing.

    >>> count_words("先算 $x^2$，然后 check the answer", ["en", "zh"])
    {'en': 3, 'zh': 2}
    """
    asked = [language_code(tag) for tag in (DEFAULT_LANGUAGES if languages is None else languages)]
    goal = None if target is None else language_code(target)
    rivals = tuple(
        dict.fromkeys(code for code in [*asked, goal] if code and (goal is None or _are_rivals(code, goal)))
    )
    candidates = _distinguishable(rivals, goal, is_default=languages is None)
    counts = _count(text, candidates)
    if len(candidates) < len(rivals) and counts.get("en"):
        _warn_latin_is_english()
    if goal is not None:
        counts = {goal: counts.pop(goal, 0), UNDETERMINED: sum(counts.values())}
    return {code: n for code, n in counts.items() if n}


def language_shares(text: str, languages: Sequence[str] | None = None) -> dict[str, float]:
    """The share of each language in the words of a text; arguments and errors as for [`count_words`].

    Returns:
        `dict[str, float]`: Shares that sum to 1, `"und"` among them; empty for a text without words.

    >>> language_shares("Привет мир, hello world", ["en", "ru"])
    {'en': 0.5, 'ru': 0.5}
    """
    counts = count_words(text, languages)
    return {code: n / sum(counts.values()) for code, n in counts.items()}


@lru_cache(maxsize=1)
def _detector_installed() -> bool:
    return importlib.util.find_spec("lingua") is not None


def _are_rivals(code: str, target: str) -> bool:
    # Chinese and Japanese words differ in length, so they are told apart even where neither is the target.
    return LANGUAGES[code] == LANGUAGES[target] or code in ("zh", "ja")


def _distinguishable(codes: tuple[str, ...], target: str | None, is_default: bool) -> tuple[str, ...]:
    """The codes that can be told apart with what is installed."""
    firsts = {LANGUAGES[code]: code for code in reversed(codes)}
    if len(firsts) == len(codes) or _detector_installed():
        return codes
    if not is_default or (target is not None and firsts[LANGUAGES[target]] != target):
        shared = [code for code in codes if sum(LANGUAGES[c] == LANGUAGES[code] for c in codes) > 1]
        raise MissingExtraError("lingua-language-detector", "language", f"telling {', '.join(shared)} apart")
    return tuple(code for code in codes if code in firsts.values())


@lru_cache(maxsize=1)
def _warn_latin_is_english() -> None:
    logger.warning(
        "Latin-script words all count as English: telling English, French, German and Spanish apart needs "
        'lingua-language-detector: pip install "r1-trl[language]". To silence this, name the languages that may occur.'
    )


def _count(text: str, candidates: tuple[str, ...]) -> dict[str, int]:
    prose = _prose(text[:MAX_CHARACTERS])
    counts = dict.fromkeys((*candidates, UNDETERMINED), 0)
    scripts = ["Latin"]
    if not prose.isascii():
        _count_han_and_kana(prose, counts)
        if _FURTHER_SCRIPT.search(prose):
            scripts = [script for script in _BY_SCRIPT if script not in ("Han", "Kana")]
            counts[UNDETERMINED] += len(_UNKNOWN_SCRIPT.findall(prose))
    for script in scripts:
        group = tuple(code for code in candidates if LANGUAGES[code] == script)
        if len(group) > 1:
            _count_by_detector(prose, script, group, counts)
        else:
            counts[group[0] if group else UNDETERMINED] += _weight(script, _WORD[script].findall(prose))
    return counts


def _prose(text: str) -> str:
    for trigger, pattern in _NO_PROSE:
        if trigger in text:
            text = pattern.sub(" ", text)
    return text


def _weight(script: str, runs: list[str]) -> int:
    """The number of words in runs of one script's letters."""
    if per_word := _CHARACTERS_PER_WORD.get(script):
        return sum(max(1, int(len(run) / per_word + 0.5)) for run in runs)
    return sum(map(_is_word, runs)) if script == "Latin" else len(runs)


def _is_word(run: str) -> bool:
    return not ((len(run) < 5 and run.isupper()) or run in _SYMBOLS)


def _count_han_and_kana(prose: str, counts: dict[str, int]) -> None:
    chinese = "zh" if "zh" in counts else UNDETERMINED
    if "ja" not in counts:
        counts[chinese] += _weight("Han", _WORD["Han"].findall(prose))
        counts[UNDETERMINED] += _weight("Kana", _WORD["Kana"].findall(prose))
    elif "zh" not in counts:
        counts["ja"] += _weight("Kana", _JAPANESE_WORD.findall(prose))
    else:
        japanese = _WORD["Kana"].search(prose) is not None
        for sentence in _SENTENCE_END.split(prose):
            if runs := _JAPANESE_WORD.findall(sentence):
                japanese = _is_japanese(runs, follows_japanese=japanese)
                counts["ja" if japanese else "zh"] += _weight("Kana" if japanese else "Han", runs)


def _is_japanese(runs: list[str], follows_japanese: bool) -> bool:
    characters = "".join(runs)
    if _WORD["Kana"].search(characters):
        return True
    # Simplified characters are in no Japanese code page.
    in_japanese_set = len(characters.encode("cp932", "ignore")) == 2 * len(characters)
    return follows_japanese and len(characters) <= _MAX_KANJI_FRAGMENT and in_japanese_set


def _count_by_detector(prose: str, script: str, group: tuple[str, ...], counts: dict[str, int]) -> None:
    scores = [FIRST_BONUS] + [0.0] * (len(group) - 1)
    came_from: list[list[int]] = []
    cost = math.inf
    for word in _WORD_OR_BREAK[script].findall(prose):
        if not word:
            cost = SWITCH_COST_AT_BREAK
        elif script != "Latin" or _is_word(word):
            best = scores.index(max(scores))
            switched = scores[best] - cost
            came_from.append([i if score >= switched else best for i, score in enumerate(scores)])
            evidence = _log_probabilities(word[:_MAX_WORD].lower(), group)
            scores = [max(score, switched) + e for score, e in zip(scores, evidence, strict=True)]
            cost = SWITCH_COST
    state = scores.index(max(scores))
    for sources in reversed(came_from):
        counts[group[state]] += 1
        state = sources[state]


@lru_cache(maxsize=2**16)
def _log_probabilities(word: str, group: tuple[str, ...]) -> tuple[float, ...]:
    confidences = _detector(group).compute_language_confidence_values(word)
    by_code = {c.language.iso_code_639_1.name.lower(): c.value for c in confidences}
    return tuple(math.log(max(by_code[code], _MIN_PROBABILITY)) for code in group)


@lru_cache(maxsize=16)
def _detector(group: tuple[str, ...]) -> LanguageDetector:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_iso_codes_639_1(*map(IsoCode639_1.from_str, group)).build()
