"""`r1-trl data TOOL`: small tools that read rows and write rows; none of them trains."""

from __future__ import annotations

import importlib

from r1_trl.cli import Command
from r1_trl.errors import InputError, did_you_mean

TOOLS = {
    "decontaminate": Command("r1_trl.stages.decontaminate", "drop rows that share a 10-gram with an evaluation set"),
    "judge-pairs": Command("r1_trl.stages.judge_pairs", "pairs of a better and a worse answer by an LLM's votes"),
}


def usage() -> str:
    """The text of `r1-trl data --help`."""
    rows = "\n".join(f"  {name:<15}{command.summary}" for name, command in TOOLS.items())
    return f"""usage: r1-trl data TOOL [--config FILE.yaml] [--flag VALUE ...]

{rows}

`r1-trl data TOOL --help` lists a tool's settings"""


def main(argv: list[str]) -> None:
    """Runs one tool.

    Args:
        argv (`list[str]`): The words after `r1-trl data`.

    Raises:
        InputError: There is no such tool, or its input is bad.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return
    tool, *words = argv
    if tool not in TOOLS:
        hint = did_you_mean(tool, TOOLS, "`")
        raise InputError(f"unknown tool `{tool}`{hint} `r1-trl data` has {', '.join(TOOLS)}")
    importlib.import_module(TOOLS[tool].module).main(words)
