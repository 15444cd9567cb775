"""The errors that a user can mend. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: a config, file, column or flag that the user can mend.

    Raised before any model loads. The command line prints the message alone, without a traceback, and exits with
    code 2, so the message has to name the value, the place where it stands and the remedy.

    >>> raise InputError("sft.yaml: `learning_rat` is no known key; did you mean `learning_rate`?")
    Traceback (most recent call last):
    r1_trl.errors.InputError: sft.yaml: `learning_rat` is no known key; did you mean `learning_rate`?
    """


class MissingExtraError(InputError, ImportError):
    """An optional dependency is needed and not installed.

    Args:
        package (`str`): The distribution that is missing.
        extra (`str`): The extra of r1-trl that brings it.
        purpose (`str`): What needs it, as the subject of "needs".

    >>> str(MissingExtraError("lingua-language-detector", "language", "telling French from English"))
    'telling French from English needs lingua-language-detector: pip install "r1-trl[language]"'
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}: pip install "r1-trl[{extra}]"')


def did_you_mean(word: str, known: Iterable[str], quote: str = "'", otherwise: str = ".") -> str:
    """The end of a message's first sentence: a guess at what was meant.

    Args:
        word (`str`): What is not known.
        known (`Iterable[str]`): What is.
        quote (`str`, *optional*, defaults to `"'"`): Stands on both sides of the guess.
        otherwise (`str`, *optional*, defaults to `"."`): The end where nothing is near.

    >>> did_you_mean("acuracy", ["accuracy", "format"]), did_you_mean("xyz", ["accuracy"])
    ("; did you mean 'accuracy'?", '.')
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {quote}{close[0]}{quote}?" if close else otherwise
