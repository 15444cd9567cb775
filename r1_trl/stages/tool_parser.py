"""The parser of commands that read a run rather than run a stage."""

from __future__ import annotations

import argparse
from typing import NoReturn

from r1_trl.errors import InputError
from r1_trl.stages.config_flag import COMMAND_LINE


class ToolParser(argparse.ArgumentParser):
    """A parser that tells what is wrong in one line, as those of the stages do.

    Args:
        command (`str`): The word after `r1-trl`.
        description (`str`): What it does, in a sentence.

    >>> ToolParser("compare", "Compare two evaluations.").parse_args(["--all"])
    Traceback (most recent call last):
    r1_trl.errors.InputError: command line: unrecognized arguments: --all. See `r1-trl compare --help`
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"r1-trl {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{COMMAND_LINE}: {message}. See `{self.prog} --help`")
