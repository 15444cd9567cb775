"""The language consistency reward: the share of the reasoning that is in the target language.

`reward = Num(words in the target language) / Num(words)` over the chain of thought (DeepSeek-R1, Nature 2025, eq. 7),
added directly to the other rewards. What counts as a word, and in which language, is said in `r1_trl.language`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from r1_trl.completion import Messages, prompt_text, read_completion
from r1_trl.errors import InputError
from r1_trl.language import UNDETERMINED, count_words, language_code


class LanguageConsistencyReward:
    """Rewards a completion for reasoning in one language (DeepSeek-R1, Nature 2025, eq. 7).

    The target is the row's `language`, else the language with the most words in the user's prompt. A prompt without
    words, such as a bare sum, has no language: the row is then `None`, as no answer to it is in the wrong one. Such
    datasets need the column `language`, and so do text prompts that wrap the question in a template of another
    language, since its words are the prompt's as well.

    Args:
        languages (`Sequence[str]`, *optional*):
            The ISO 639-1 codes of the languages that may occur in a text; the target is always among them. Defaults
            to en, zh, ja, ko, ru, ar, hi, fr, de and es, of which en, fr, de and es are told apart by the extra
            `language` (lingua); without it, all Latin words count as English. Where no two languages share a script,
            as in `["en", "zh"]`, all Latin words are English and no detector is loaded or called: the fast path, with
            0.2 ms for 2,000 characters instead of 0.8 ms.

    Raises:
        [`InputError`]: If a language is not supported.
        [`MissingExtraError`]: If two of `languages` share a script and the extra `language` is not installed.

    >>> reward = LanguageConsistencyReward(["en", "zh"])
    >>> reward(["<think>先算 then add the two</think><answer>4</answer>"], prompts=["二加二等于几？"])
    [0.2]
    >>> reward(["<think>First add the two.</think>"], language=["en"])
    [1.0]
    """

    def __init__(self, languages: Sequence[str] | None = None) -> None:
        self.__name__ = "language_consistency_reward"
        if isinstance(languages, str) or not all(isinstance(tag, str) for tag in languages or ()):
            raise InputError(f"languages is {languages!r}: it must be a list of codes, such as [en, zh]")
        if languages is not None and not languages:
            raise InputError("languages is empty: name those that may occur, or leave it out")
        self.languages = None if languages is None else tuple(language_code(tag) for tag in languages)
        # Counting nothing refuses now, not after the first rollout, what cannot be told apart.
        count_words("", self.languages)

    def __call__(
        self,
        completions: Sequence[str | Messages],
        prompts: Sequence[str | Messages] | None = None,
        language: Sequence[str | None] | None = None,
        think_opened: Sequence[bool | None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **kwargs: Any,
    ) -> list[float | None]:
        """Scores a batch; TRL passes every argument by its name.

        Args:
            completions (`Sequence[str]` or sequence of messages): B completions.
            prompts (`Sequence[str]` or sequence of messages, *optional*): The B prompts.
            language (`Sequence[str | None]`, *optional*):
                The dataset's column: B target languages, as codes or tags (`"zh"`, `"zh-Hans"`). `None` and `""` ask
                the prompt.
            think_opened (`Sequence[bool | None]`, *optional*):
                Whether the prompt has opened `<think>`. `None` asks the prompt.
            log_metric (`Callable`, *optional*):
                TRL's; logs the share of rows that are `None` as `language_consistency/unknown_language`.

        Returns:
            `list[float | None]`: B shares between 0 and 1. 0.0 without reasoning or without words in it; `None` where
            the target language is unknown: not supported, or neither in the row nor in the prompt.

        Raises:
            [`MissingExtraError`]: If the target shares its script with another language and the extra `language` is
                not installed; with the default `languages`, for fr, de and es but not for en.
        """
        size = len(completions)
        rows = zip(
            completions,
            [None] * size if prompts is None else prompts,
            [None] * size if language is None else language,
            [None] * size if think_opened is None else think_opened,
            strict=True,
        )
        rewards = [self._reward(*row) for row in rows]
        if log_metric is not None and size:
            log_metric("language_consistency/unknown_language", rewards.count(None) / size)
        return rewards

    def _reward(
        self,
        completion: str | Messages,
        prompt: str | Messages | None,
        language: str | None,
        think_opened: bool | None,
    ) -> float | None:
        if language:
            target = _code_or_none(language)
        else:
            target = None if prompt is None else _main_language(prompt_text(prompt), self.languages)
        if target is None:
            return None
        reasoning = read_completion(completion, prompt, think_opened).reasoning or ""
        counts = count_words(reasoning, self.languages, target)
        return counts.get(target, 0) / max(1, sum(counts.values()))


def language_consistency_reward(
    completions: Sequence[str | Messages],
    prompts: Sequence[str | Messages] | None = None,
    language: Sequence[str | None] | None = None,
    think_opened: Sequence[bool | None] | None = None,
    **kwargs: Any,
) -> list[float | None]:
    """[`LanguageConsistencyReward`] with its defaults, for `--reward_funcs`; arguments and errors as there.

    >>> language_consistency_reward(["<think>两个数相加，得四。</think><answer>4</answer>"], language=["zh"])
    [1.0]
    """
    return LanguageConsistencyReward()(completions, prompts, language, think_opened, **kwargs)


def _code_or_none(language: object) -> str | None:
    try:
        return language_code(language) if isinstance(language, str) else None
    except InputError:
        return None


# The prompt of a group comes once for each of its completions.
@lru_cache(maxsize=1024)
def _main_language(text: str, languages: tuple[str, ...] | None) -> str | None:
    counts = count_words(text, languages)
    counts.pop(UNDETERMINED, None)
    return max(counts, key=counts.__getitem__) if counts else None
