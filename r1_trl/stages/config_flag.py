"""The flag `--config`: the parser reads the file behind it, and the command line names it in its messages."""

from __future__ import annotations

from collections.abc import Iterable

COMMAND_LINE = "command line"  # the place of bad input that comes from no file


def split_config_flag(argv: Iterable[str]) -> list[str]:
    """Writes `--config=FILE` as two words, which is how TRL's parser wants it.

    >>> split_config_flag(["--config=a.yaml", "--seed=1"])
    ['--config', 'a.yaml', '--seed=1']
    """
    words: list[str] = []
    for word in argv:
        words += word.split("=", 1) if word.startswith("--config=") else [word]
    return words
